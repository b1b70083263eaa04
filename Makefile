# Two commands: `make demo` and `make test`. Each makes its virtual environment and installs what it needs.
# `PYTHON=python3.13` has environments of its own, such as .venv-python3.13.
PYTHON ?= python3.11
OTHER := $(patsubst %,-%,$(filter-out python3.11,$(notdir $(PYTHON))))
VENV := .venv$(OTHER)
DEMO_VENV := .venv-demo$(OTHER)
# tflite-runtime 2.14 has no wheels for later Pythons; where there is none of these, its tests are skipped
OLD_PYTHON ?= python3.11
OLD_RUNTIME_VENV := .venv-tflite-2.14
OLD_RUNTIME := $(if $(shell command -v $(OLD_PYTHON)),$(OLD_RUNTIME_VENV)/installed)

.PHONY: help demo test test-fast test-device lint docs dist android screenshots arm64 clean

help:
	@echo "make demo       a shipped recogniser learns a new voice on this machine"
	@echo "make test       all tests"
	@echo "make test-fast  the quick ones"
	@echo "make test-device  the quick tests of the device side, without TensorFlow; LITERT=1.4.0 with that ai-edge-litert"
	@echo "make lint       format and lint of all Python files, and types of both packages"
	@echo "make docs       the API reference, in runs/docs"
	@echo "make dist       wheels and source distribution, in dist; the demo runs from the wheel in a bare environment"
	@echo "make android    the Kotlin side: builds the demo app, tests it on the JVM"
	@echo "make arm64      the device side on 64-bit ARM Linux under emulation, held to what it computes here"
	@echo "make commands DATA=FOLDER  train and export the shipped model again"
	@echo "make study DATA=FOLDER     personalise to 38 speakers on a server and on a phone, hours; ENGINE=ray for a cluster"
	@echo "make exits DATA=FOLDER     models with early exits and without, and their word error rates by depth, hours"
	@echo "make exits-english DATA=FOLDER SOURCE=WHEEL"
	@echo "                           the same on the public encoder, an hour"
	@echo "make teacher DATA=FOLDER   train the two-pass model's teacher on from the shipped one, an hour"
	@echo "make twopass DATA=FOLDER   a two-pass model, compressed in three stages and to int8, and its tables, three hours"
	@echo "make english DATA=FOLDER SOURCE=WHEEL  the English model from public weights, hours"
	@echo "make clean      remove the virtual environments and results"

demo: $(DEMO_VENV)/installed
	$(DEMO_VENV)/bin/python -m tflite_asr demo $(DEMO_ARGS)

# Two processes, four times: TensorFlow keeps what it has traced, and one pair of processes for all tests would hold it all.
TRACING := tests/signatures
TRACING_MODELS := tests/models
TRACING_TOO := tests/layers tests/losses tests/ops tests/training
PYTEST = $(if $(OLD_RUNTIME),TFLITE_2_14_PYTHON="$(CURDIR)/$(OLD_RUNTIME_VENV)/bin/python") $(VENV)/bin/python -m pytest -q -rs -n 2 --dist loadfile
test: $(VENV)/installed $(OLD_RUNTIME)
	$(PYTEST) $(TRACING) $(TEST_ARGS)
	$(PYTEST) $(TRACING_MODELS) $(TEST_ARGS)
	$(PYTEST) $(TRACING_TOO) $(TEST_ARGS)
	$(PYTEST) $(addprefix --ignore=,$(TRACING) $(TRACING_MODELS) $(TRACING_TOO)) $(TEST_ARGS)

test-fast: $(VENV)/installed
	$(VENV)/bin/python -m pytest -q -m "not slow" $(TEST_ARGS)

LITERT :=
DEVICE_VENV := .venv-device-$(notdir $(PYTHON))$(LITERT:%=-%)
DEVICE_TESTS := tests/contract tests/text tests/audio tests/data tests/runtime tests/personalization tests/test_examples.py
test-device: $(DEVICE_VENV)/installed
	$(DEVICE_VENV)/bin/python -m pytest -q -n 2 --dist loadfile -m "not slow" $(DEVICE_TESTS) $(TEST_ARGS)

# format, rules and types, as pyproject.toml says
lint: $(VENV)/installed
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m pyright --pythonpath $(VENV)/bin/python

# the AAR and the APK with the tests of the screens, then what tests say of both and of the core on the JVM; Maven is over
# before Java's second compiler has paid for itself
MAVEN_ANDROID := MAVEN_OPTS="-Xmx1g -XX:TieredStopAtLevel=1" mvn --batch-mode --quiet --file android_demo/pom.xml -Dcore.tests.skip=true
ANDROID_TOOLS := mvn javac keytool aapt2 zipalign apksigner
android: $(VENV)/installed
	@for tool in $(ANDROID_TOOLS); do command -v $$tool > /dev/null || { \
		echo "make android: expected $$tool, found none; on Debian: apt-get install openjdk-17-jdk-headless maven aapt zipalign apksigner"; \
		exit 2; }; done
	$(MAVEN_ANDROID) package
	ALL_JVM_TESTS=1 $(VENV)/bin/python -m pytest -q -rs tests/android
	@ls -l android_demo/app/target/android-demo-debug.apk android_demo/android/target/tfliteasr-android.aar

# docs/android/*.png, which the README shows
screenshots:
	$(MAVEN_ANDROID) --projects app --also-make test -Dtest=ScreenshotTest -Dsurefire.failIfNoSpecifiedTests=false -Dscreenshots="$(CURDIR)/docs/android"

# QEMU, Debian's arm64 packages and wheels are downloaded to .arm64 once
arm64: $(VENV)/installed
	$(VENV)/bin/python tests/arm64/run.py .arm64

# from the docstrings
docs: $(VENV)/installed
	$(VENV)/bin/python docs/api.py runs/docs

# tflite-asr-english holds the large model alone, so that the wheel of the package stays small
# -P: not the sources that stand here
DIST_VENV := .venv-dist
dist: $(VENV)/installed
	rm -rf dist build $(DIST_VENV) *.egg-info
	$(VENV)/bin/python -m build --outdir dist .
	mkdir -p build/english/tflite_asr/assets
	cp distributions/english/* docs/english.md tflite_asr/assets/LICENSE.moonshine build/english/
	mv build/english/english.md build/english/README.md
	cp tflite_asr/assets/english.* tflite_asr/assets/LICENSE.moonshine build/english/tflite_asr/assets/
	$(VENV)/bin/python -m build --wheel --outdir dist build/english
	$(PYTHON) -m venv $(DIST_VENV)
	$(DIST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(echo dist/tflite_asr-*.whl)[voices]"
	$(DIST_VENV)/bin/python -P -m tflite_asr demo --out runs/dist
	ls -l dist

# the device side and synthetic voices: no TensorFlow
$(DEVICE_VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(DEVICE_VENV)
	$(DEVICE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[voices,test]" $(LITERT:%="ai-edge-litert==%")
	touch $@

$(DEMO_VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[voices]"
	touch $@

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[train,voices,cluster,dev]"
	touch $@

# the oldest runtime that exports are promised to train on; it needs NumPy 1, hence an environment of its own
$(OLD_RUNTIME_VENV)/installed: setup.cfg
	$(OLD_PYTHON) -m venv $(OLD_RUNTIME_VENV)
	$(OLD_RUNTIME_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "tflite-runtime==2.14.0" "numpy<2"
	touch $@

clean:
	rm -rf .venv* .arm64 runs build dist *.egg-info android_demo/*/target

# The shipped model, made again: DATA is the folder that holds commands/ and speech/ with their manifests.
WORDS := ZERO,ONE,TWO,THREE,FOUR,FIVE,SIX,SEVEN,EIGHT,NINE,OH,BACKWARD,BED,BIRD,CAT,DOG,DOWN,FOLLOW,FORWARD,GO,HAPPY,HOUSE,LEARN,LEFT,MARVIN,NO,OFF,ON,RIGHT,SHEILA,STOP,TREE,UP,VISUAL,WOW,YES
VOICES := runs/voices
# not bin/tflite-asr: scripts of an environment in a folder with a space in its name do not start
ASR := $(VENV)/bin/python -m tflite_asr

.PHONY: commands
commands: $(VENV)/installed
	test -n "$(DATA)" || { echo "make commands DATA=FOLDER: the folder that holds commands/ and speech/"; exit 2; }
	test -d $(VOICES)/words || $(ASR) synthesize --words $(WORDS) --speakers 60 --seed 1 --out $(VOICES)/words
	test -d $(VOICES)/strings || $(ASR) synthesize --words $(WORDS) --strings 24 --speakers 60 --seed 2 --out $(VOICES)/strings
	test -d $(VOICES)/digits || $(ASR) synthesize --digits --strings 16 --speakers 60 --seed 3 --out $(VOICES)/digits
	test -d $(VOICES)/rehearse || $(ASR) synthesize --words $(WORDS) --speakers 30 --seed 5 --out $(VOICES)/rehearse
	$(ASR) train commands --words $(WORDS) --connect 5 --batch 20 --epochs 78 --out runs/commands \
		--manifest "$(DATA)/commands/manifest.jsonl" --where split=base_train \
		--manifest "$(DATA)/speech/manifest.jsonl" --where split=base_train \
		--manifest $(VOICES)/words/manifest.jsonl --where "" \
		--manifest $(VOICES)/strings/manifest.jsonl --where "" \
		--manifest $(VOICES)/digits/manifest.jsonl --where "" \
		--development "$(DATA)/commands/manifest.jsonl" --development-where split=base_dev \
		--development "$(DATA)/speech/manifest.jsonl" --development-where split=base_dev
	$(ASR) export runs/commands --parts 2 --owner-views --out tflite_asr/assets/commands.tflite \
		--replay $(VOICES)/rehearse/manifest.jsonl --connect 5
	$(ASR) inspect commands --markdown > docs/signatures.commands.md

# Early exits: trained together, each depth alone, added to a trained model; their tables go to runs/exits/base_test and
# runs/exits/all_unseen, the second over every speaker of commands/ that was not trained on.
EXITS := runs/exits
EXITS_SPEECH = --words $(WORDS) --connect 2 --batch 16 --seed 1 \
	--manifest "$(DATA)/commands/manifest.jsonl" --where split=base_train \
	--manifest "$(DATA)/speech/manifest.jsonl" --where split=base_train,corpus=fsdd \
	--manifest $(VOICES)/words/manifest.jsonl --where ""
EXITS_TRAIN = $(ASR) train commands_exits $(EXITS_SPEECH) --epochs 12
EXITS_MODELS := groups_2 groups_4 groups_6 joint sandwich added tuned

.PHONY: exits
exits: $(VENV)/installed
	test -n "$(DATA)" || { echo "make exits DATA=FOLDER: the folder that holds commands/ and speech/"; exit 2; }
	test -d $(VOICES)/words || $(ASR) synthesize --words $(WORDS) --speakers 60 --seed 1 --out $(VOICES)/words
	$(EXITS_TRAIN) --out $(EXITS)/joint
	$(EXITS_TRAIN) --layers 2 --exits none --out $(EXITS)/groups_2
	$(EXITS_TRAIN) --layers 4 --exits none --out $(EXITS)/groups_4
	$(EXITS_TRAIN) --exits none --out $(EXITS)/groups_6
	$(EXITS_TRAIN) --initial $(EXITS)/groups_6 --freeze --out $(EXITS)/added
	$(EXITS_TRAIN) --initial $(EXITS)/groups_6 --out $(EXITS)/tuned
	$(EXITS_TRAIN) --exit-weighting sandwich --out $(EXITS)/sandwich
	for model in $(EXITS_MODELS); do \
		test -f $(EXITS)/$$model.tflite || $(ASR) export $(EXITS)/$$model --out $(EXITS)/$$model.tflite || exit; done
	$(ASR) exits $(EXITS_MODELS:%=$(EXITS)/%.tflite) --out $(EXITS)/base_test \
		--manifest "$(DATA)/commands/manifest.jsonl" --where split=base_test \
		--manifest "$(DATA)/speech/manifest.jsonl" --where split=base_test,corpus=fsdd
	$(ASR) exits $(EXITS_MODELS:%=$(EXITS)/%.tflite) --out $(EXITS)/all_unseen \
		--manifest "$(DATA)/commands/manifest.jsonl" --where "split=base_dev|base_test|pers_adapt|pers_test"

# Early exits on the public encoder, its weights trained on, against the same layers from scratch behind the same front end and
# against the encoder cut at each exit; on the speech of `exits`. SOURCE is what `import moonshine` takes.
ENGLISH_EXITS := runs/exits_english
ENGLISH_EXITS_TRAIN = $(ASR) train english_exits $(EXITS_SPEECH) --epochs 4 --learning-rate 1e-3 --initial $(ENGLISH)/moonshine
ENGLISH_EXITS_MODELS := public scratch cut_2 cut_4 cut_6

.PHONY: exits-english
exits-english: $(VENV)/installed
	test -n "$(DATA)" -a -n "$(SOURCE)" || { echo "make exits-english DATA=FOLDER SOURCE=installed|WHEEL"; exit 2; }
	test -d $(VOICES)/words || $(ASR) synthesize --words $(WORDS) --speakers 60 --seed 1 --out $(VOICES)/words
	test -d $(ENGLISH)/moonshine || $(ASR) import moonshine "$(SOURCE)" --out $(ENGLISH)/moonshine
	$(ENGLISH_EXITS_TRAIN) --out $(ENGLISH_EXITS)/public
	$(ENGLISH_EXITS_TRAIN) --initial-groups none --out $(ENGLISH_EXITS)/scratch
	$(ENGLISH_EXITS_TRAIN) --layers 2 --exits none --out $(ENGLISH_EXITS)/cut_2
	$(ENGLISH_EXITS_TRAIN) --layers 4 --exits none --out $(ENGLISH_EXITS)/cut_4
	$(ENGLISH_EXITS_TRAIN) --exits none --out $(ENGLISH_EXITS)/cut_6
	for model in $(ENGLISH_EXITS_MODELS); do test -f $(ENGLISH_EXITS)/$$model.tflite || \
		$(ASR) export $(ENGLISH_EXITS)/$$model --out $(ENGLISH_EXITS)/$$model.tflite || exit; done
	$(ASR) exits $(ENGLISH_EXITS_MODELS:%=$(ENGLISH_EXITS)/%.tflite) --out $(ENGLISH_EXITS)/base_test \
		--manifest "$(DATA)/commands/manifest.jsonl" --where split=base_test \
		--manifest "$(DATA)/speech/manifest.jsonl" --where split=base_test,corpus=fsdd

# Two passes, compressed: the teacher, the student alone, from the teacher in three stages, and fine-tuned for int8; their
# table goes to runs/twopass/table.md. The teacher is shipped, `make teacher` trains it on; the lone student starts from
# `commands`, which has learned where the letters are: from sentences alone that takes hours. Synthetic voices read a part
# each of the training speech's sentences, as slowly as its speakers do: at a usual rate there are about as many letters as
# steps, and little is learned from it. DATA holds speech/ and speech_extra/; the same command goes on where it stopped.
TWOPASS := runs/twopass
TEACHER := tflite_asr/assets/sentences_teacher
TWOPASS_PARTS := $(shell seq -w 0 21)
SENTENCE_SPEAKERS = --config docs/sentences.study.toml --manifest "$(DATA)/speech/manifest.jsonl" \
	--where "corpus=speechocean762,split=pers_adapt|pers_test"
TWOPASS_DEVELOPMENT = --development "$(DATA)/speech/manifest.jsonl" --development-where split=base_dev
TWOPASS_SPEECH = --batch 16 --steps 450 $(TWOPASS_DEVELOPMENT) \
	--manifest "$(DATA)/speech/manifest.jsonl" --where split=base_train \
	--manifest "$(DATA)/speech_extra/manifest.jsonl" --where split=base_train \
	--manifest "$(DATA)/speech_extra/manifest.jsonl" --where split=base_train \
	--manifest "$(DATA)/speech_extra/manifest.jsonl" --where split=base_train \
	$(patsubst %,--manifest $(TWOPASS)/voices/%/manifest.jsonl --where "",$(TWOPASS_PARTS) digits)

.PHONY: twopass teacher twopass-voices
twopass-voices: $(VENV)/installed
	test -n "$(DATA)" || { echo "make twopass or teacher DATA=FOLDER: the folder that holds speech/ and speech_extra/"; exit 2; }
	mkdir -p $(TWOPASS)/voices
	cat "$(DATA)/speech/manifest.jsonl" "$(DATA)/speech_extra/manifest.jsonl" | grep '"split": "base_train"' \
		| sed 's/.*"text": "\([^"]*\)".*/\1/' | grep -vxE 'ZERO|ONE|TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE' | LC_ALL=C sort -u \
		| split --numeric-suffixes --number=r/$(words $(TWOPASS_PARTS)) - $(TWOPASS)/texts.
	for part in $(TWOPASS_PARTS); do test -d $(TWOPASS)/voices/$$part || $(ASR) synthesize --words-per-minute 80-130 \
		--text $(TWOPASS)/texts.$$part --speakers 1 --seed 1$$part --out $(TWOPASS)/voices/$$part || exit; done
	test -d $(TWOPASS)/voices/digits || $(ASR) synthesize --words-per-minute 80-130 \
		--digits --strings 24 --speakers 20 --seed 99 --out $(TWOPASS)/voices/digits

teacher: twopass-voices
	$(ASR) train sentences_teacher $(TWOPASS_SPEECH) --initial $(TEACHER) --epochs 12 --learning-rate 1.5e-3 \
		--ctc-weight 1 --out $(TWOPASS)/teacher

twopass: twopass-voices
	$(ASR) train sentences_student $(TWOPASS_SPEECH) --initial commands --epochs 10 --plain-epochs 6 --ctc-weight 1 \
		--out $(TWOPASS)/scratch
	$(ASR) distill --teacher $(TEACHER) --student sentences_student $(TWOPASS_SPEECH) --initial $(TEACHER) \
		--stages 1,2,3 --epochs 3,1,17 --ctc-weight 1 --out $(TWOPASS)/student
	$(ASR) train sentences_student --initial $(TWOPASS)/student/stage_3 --quantize-aware $(TWOPASS_SPEECH) \
		--epochs 1 --learning-rate 1e-4 --out $(TWOPASS)/aware
	$(ASR) compare teacher=$(TEACHER) scratch=$(TWOPASS)/scratch stage_1=$(TWOPASS)/student/stage_1 \
		stage_2=$(TWOPASS)/student/stage_2 stage_3=$(TWOPASS)/student/stage_3 rounded=$(TWOPASS)/student/stage_3:aware \
		int8=$(TWOPASS)/aware:aware --keras \
		$(TWOPASS_DEVELOPMENT) --test "$(DATA)/speech/manifest.jsonl" --test-where split=base_test \
		--out $(TWOPASS)/compared > $(TWOPASS)/table.md
	$(ASR) compare teacher=$(TEACHER) scratch=$(TWOPASS)/scratch stage_3=$(TWOPASS)/student/stage_3 int8=$(TWOPASS)/aware:aware \
		$(TWOPASS_DEVELOPMENT) --test "$(DATA)/speech/manifest.jsonl" \
		--test-where "corpus=speechocean762,split=base_test|pers_adapt|pers_test" \
		--out $(TWOPASS)/compared > $(TWOPASS)/unseen.md
	$(ASR) export $(TWOPASS)/aware --quantize aware --trainable 2 --out $(TWOPASS)/sentences.tflite
	$(ASR) tune-rescoring $(TWOPASS)/sentences.tflite --manifest "$(DATA)/speech/manifest.jsonl" --where split=base_dev
	$(ASR) simulate $(TWOPASS)/sentences.tflite --environment mobile --out $(TWOPASS)/personalised $(SENTENCE_SPEAKERS)
	$(ASR) export $(TWOPASS)/student/stage_3 --out $(TWOPASS)/float.tflite
	$(ASR) simulate $(TWOPASS)/float.tflite --out $(TWOPASS)/personalised_float $(SENTENCE_SPEAKERS)

# The study of docs/study.toml; the same command goes on where it stopped.
ENGINE := local
WORKERS := 2

.PHONY: study
study: $(VENV)/installed
	test -n "$(DATA)" || { echo "make study DATA=FOLDER: the folder that holds commands/ and speech/"; exit 2; }
	test -d $(VOICES)/atypical || $(ASR) synthesize --digits --strings 60 --speakers 30 --atypical --seed 9 --out $(VOICES)/atypical
	mkdir -p runs/study
	sed "s|DATA|$$(cd "$(DATA)" && pwd)|; s|VOICES|$(CURDIR)/$(VOICES)|; s|TRACE|$(CURDIR)/docs/phone.trace.jsonl|" docs/study.toml > runs/study/study.toml
	$(ASR) simulate --config runs/study/study.toml --engine $(ENGINE) --workers $(WORKERS) --out runs/study/results

# The shipped English model, made again from the public weights: SOURCE is what `import moonshine` takes, DATA holds read/,
# speech/, speech_extra/ and commands/ with their manifests. Transcripts get the decoder's case and punctuation; then the
# first pass is trained on the frozen lower groups, then the decoder and its own encoder layers; both from one cache.
ENGLISH := runs/english
ENGLISH_CORPORA := read speech_extra speech commands
ENGLISH_SPEECH = $(foreach corpus,$(ENGLISH_CORPORA),--manifest $(ENGLISH)/cased/$(corpus).jsonl --where "") \
	--noise "$(DATA)"/read/noise/*.flac --cached 4 --batch 32

.PHONY: english
english: $(VENV)/installed
	test -n "$(DATA)" -a -n "$(SOURCE)" || { echo "make english DATA=FOLDER SOURCE=installed|WHEEL"; exit 2; }
	test -d $(ENGLISH)/moonshine || $(ASR) import moonshine "$(SOURCE)" --out $(ENGLISH)/moonshine
	test -f $(ENGLISH)/moonshine.tflite || $(ASR) export $(ENGLISH)/moonshine --quantize grid --out $(ENGLISH)/moonshine.tflite
	mkdir -p $(ENGLISH)/cased
	for corpus in $(ENGLISH_CORPORA); do test -f $(ENGLISH)/cased/$$corpus.jsonl || \
		$(ASR) punctuate $(ENGLISH)/moonshine.tflite --manifest "$(DATA)/$$corpus/manifest.jsonl" --where split=base_train \
			--out $(ENGLISH)/cased/$$corpus.jsonl || exit; done
	$(ASR) train english --initial $(ENGLISH)/moonshine --trainable encoder_4,encoder_5,ctc $(ENGLISH_SPEECH) \
		--development "$(DATA)/read/manifest.jsonl" --development-where split=base_dev \
		--development "$(DATA)/speech/manifest.jsonl" --development-where split=base_dev,corpus=speechocean762 \
		--epochs 12 --steps 400 --learning-rate 1e-3 --out $(ENGLISH)/first
	mkdir -p $(ENGLISH)/second
	test -d $(ENGLISH)/second/cached || cp -r $(ENGLISH)/first/cached $(ENGLISH)/second/cached
	$(ASR) train english --initial $(ENGLISH)/first --trainable decoder_encoder_0,decoder_encoder_1,decoder --second-pass $(ENGLISH_SPEECH) \
		--epochs 4 --steps 235 --learning-rate 1e-4 --out $(ENGLISH)/second
	test -d $(ENGLISH)/both || $(ASR) average $(ENGLISH)/first $(ENGLISH)/second --share 0.75 --out $(ENGLISH)/both
	$(ASR) export $(ENGLISH)/both --quantize grid --trainable decoder_encoder_0,decoder_encoder_1,decoder --bias-only \
		--learning-rate 5e-4 --lengths 4,10,16,30 --part-sizes 4,2 --out tflite_asr/assets/english.tflite
	$(ASR) tune-rescoring english --manifest "$(DATA)/read/manifest.jsonl" --where split=base_dev \
		--manifest "$(DATA)/speech/manifest.jsonl" --where split=base_dev,corpus=speechocean762
