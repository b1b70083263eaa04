"""The speech that a personalisation learns from."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from tflite_asr.data.alignment import alignable, report_left_out
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.data.time_order import check_time_order
from tflite_asr.personalization.casing import with_heard_case
from tflite_asr.personalization.corrections import Corrections
from tflite_asr.runtime.recognizer import Recognizer


@dataclass(frozen=True)
class Speech:
    """The speech of one corpus that a personalisation learns from."""

    corpus: Corpus
    utterances: Sequence[Utterance]  # with transcripts; those that cannot be aligned are named and left out
    corrections: Corrections = field(default_factory=Corrections)
    unlabelled: Sequence[Utterance] = ()  # without transcripts

    @property
    def trains(self) -> bool:
        """Whether weights are trained; corrections alone teach names."""
        return bool(self.utterances or self.unlabelled)

    @property
    def transcribed(self) -> tuple[Corpus, Sequence[Utterance]]:
        """The corpus, and its utterances with transcripts."""
        return self.corpus, self.utterances

    def prepared(self, recognizer: Recognizer, *, in_time: bool) -> tuple["Speech", list[str]]:
        """The speech without utterances that cannot be aligned, with transcripts in the recogniser's case; and the
        utterances that were left out.

        Args:
            recognizer: writes the case, where transcripts have none.
            in_time: whether the utterances have to be in the order of time; InputError if they are not.
        """
        kept, left_out = alignable(*self.transcribed)
        report_left_out(left_out, len(self.utterances))
        corrected = with_heard_case(recognizer, self.corpus, self.corrections.utterances)
        corrections = dataclasses.replace(self.corrections, utterances=tuple(corrected))
        kept = with_heard_case(recognizer, self.corpus, kept)
        if in_time:
            check_time_order(kept)
        return dataclasses.replace(self, utterances=kept, corrections=corrections), left_out
