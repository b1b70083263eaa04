package tfliteasr.data

/** [connect], with the utterances of a clip that does not fit the model, or cannot be aligned, each on its own. */
fun fittingClips(corpus: Corpus, utterances: List<Utterance>, upTo: Int, seed: Int, maxSeconds: Double): List<Clip> =
    connect(utterances, upTo, seed) { corpus.seconds(it) <= maxSeconds }.flatMap { clip ->
        val tokens = corpus.tokenizer.encode(clip.text)
        val frames = utteranceFrames(corpus.config, corpus.sampleCount(clip))
        val fits = tokens.size <= corpus.config.maxLabels && alignmentProblem(tokens, frames, corpus.config) == null
        if (fits || clip.parts.size == 1) listOf(clip) else clip.parts.map { Clip(listOf(it)) }
    }
