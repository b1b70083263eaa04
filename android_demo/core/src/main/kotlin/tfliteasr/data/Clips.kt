package tfliteasr.data

/** [connect], with the utterances of a clip that has more tokens than the model takes each on its own. */
fun fittingClips(corpus: Corpus, utterances: List<Utterance>, upTo: Int, seed: Int, maxSeconds: Double): List<Clip> =
    connect(utterances, upTo, seed) { corpus.seconds(it) <= maxSeconds }.flatMap { clip ->
        val fits = corpus.tokenizer.encode(clip.text).size <= corpus.config.sizes.maxTokens
        if (fits) listOf(clip) else clip.parts.map { Clip(listOf(it)) }
    }
