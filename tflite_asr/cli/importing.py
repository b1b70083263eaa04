"""Make a model folder from public weights of an English recogniser.

    pip install --no-deps moonshine-voice==0.0.64
    tflite-asr import moonshine installed --out runs/moonshine
    tflite-asr train english --initial runs/moonshine --manifest speech/manifest.jsonl --out runs/english
    tflite-asr export runs/english --quantize grid --trainable encoder_4,encoder_5,ctc --out english.tflite

SOURCE holds the tiny English Moonshine (Jeffries et al. 2024, arXiv 2410.15608), under the MIT licence:

    installed       the package moonshine-voice 0.0.64 as pip has installed it (later ones come without the weights)
    FILE.whl        its wheel: pip download --no-deps moonshine-voice==0.0.64
    DIR             encoder_model.ort, decoder_model_merged.ort and tokenizer.bin of it
    DIR             config.json, model.safetensors and tokenizer.json, as Hugging Face's transformers saves the model

Nothing is downloaded. The files of moonshine-voice are checked by sha256; of a Hugging Face folder the licence is what
its README.md or LICENSE says. The command writes config.json (with the subwords and the licence), weights.safetensors,
LICENSE.moonshine and, from moonshine-voice, grids.json: with it `export --quantize grid` stores the 8-bit weights again
without loss.

The encoder and the decoder are imported. The source has no CTC head, the first pass over letters: it is drawn at random
from a fixed seed and has to be trained. Needs the extra `train`.
"""

import argparse
from pathlib import Path

SUMMARY = "make a model folder of public weights"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("what", choices=("moonshine",), help="whose weights")
    parser.add_argument("source", metavar="SOURCE", help="a wheel, a folder, or the word `installed`; see above")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the model is written: a new folder")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.importing.moonshine import LICENCE_FILE, SEED, check_out, read_moonshine, write_model

    out = Path(args.out)
    check_out(out)
    imported = read_moonshine(args.source)
    random = write_model(imported, out)
    return {
        "model": str(out),
        "source": args.source,
        "parameters": sum(weight.size for weight in imported.weights.values()),
        "encoder_parameters": sum(w.size for name, w in imported.weights.items() if not name.startswith("decoder")),
        "subwords": len(imported.pieces),
        "grids": len(imported.grids),
        "licences": [imported.licence],
        "licence_file": LICENCE_FILE if imported.licence_text is not None else None,
        "random": random,
        "seed": SEED,
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    model, [licence] = result["model"], result["licences"]
    encoder, decoder = result["encoder_parameters"], result["parameters"] - result["encoder_parameters"]
    text = (
        f"text in {result['licence_file']}, which goes with every copy"
        if result["licence_file"]
        else "look it up before you pass the model on"
    )
    grids, random = result["grids"], ", ".join(result["random"])
    exact = f"on 8-bit grids: {grids} weights" if grids else "no 8-bit grids: `export --quantize grid` needs them"
    return "\n".join(
        [
            f"{model}: {encoder:,} parameters of the encoder, {decoder:,} of the decoder over {result['subwords']:,} "
            f"subwords; {exact}",
            f"licence: {licence['licence']} ({licence['holder']}; {licence['source']}); {text}",
            f"drawn at random (seed {result['seed']}): {random}, the first pass; it recognises nothing until it is "
            f"trained",
            f"next: tflite-asr train english --initial {model} --manifest M --out DIR,",
            "      then tflite-asr export DIR --out NAME.tflite",
        ]
    )
