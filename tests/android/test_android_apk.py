"""The APK and the AAR that `make android` built: signed, installable, and unable to reach the internet."""

import os
import re
import shutil
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APK = ROOT / "android_demo" / "app" / "target" / "android-demo-debug.apk"
LIBRARY = ROOT / "android_demo" / "android"
PAGE = 16 * 1024  # of memory, on new phones
LOAD = 1  # type of an ELF segment that is mapped

pytestmark = pytest.mark.skipif(not APK.exists(), reason="the APK of android_demo is not built; make android builds it")


def run(tool, *arguments):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on this machine")
    output = subprocess.run([tool, *arguments], capture_output=True, text=True)
    assert output.returncode == 0, output.stdout + output.stderr
    return output.stdout


def test_the_signature_verifies():
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in run(
        "apksigner", "verify", "--verbose", str(APK)
    )


def test_it_asks_for_the_microphone_and_not_for_the_internet():
    permissions = re.findall(r"uses-permission: name='([^']+)'", run("aapt2", "dump", "permissions", str(APK)))
    assert permissions == ["android.permission.RECORD_AUDIO", "android.permission.RECEIVE_BOOT_COMPLETED"]


def test_it_keeps_data_out_of_backups():
    manifest = run("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", str(APK))
    assert re.search(r"allowBackup\(0x[0-9a-f]+\)=false", manifest)
    assert "dataExtractionRules" in manifest


def test_it_is_for_the_sdk_levels_of_the_build():
    pom = (ROOT / "android_demo" / "pom.xml").read_text(encoding="utf-8")
    badging = run("aapt2", "dump", "badging", str(APK))
    for badge, name in (("sdkVersion", "minSdk"), ("targetSdkVersion", "targetSdk")):
        (level,) = re.findall(rf"<android\.{name}>(\d+)<", pom)
        assert f"{badge}:'{level}'" in badging


def test_it_holds_the_shipped_model_and_both_processors():
    with zipfile.ZipFile(APK) as apk:
        names = set(apk.namelist())
        for name in ("commands.tflite", "commands.json", "commands.replay.safetensors"):
            assert apk.read(f"assets/{name}") == (ROOT / "tflite_asr" / "assets" / name).read_bytes()
    natives = {name for name in names if name.endswith(".so")}
    assert natives == {f"lib/{abi}/libtensorflowlite_jni.so" for abi in ("arm64-v8a", "x86_64")}


def test_it_has_no_permission_or_service_that_its_night_training_would_need_a_notification_for():
    """A job that waits for a charger needs no foreground service, so neither its types nor POST_NOTIFICATIONS."""
    manifest = run("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", str(APK))
    assert manifest.count("E: service") == 1
    assert "foregroundServiceType" not in manifest and "POST_NOTIFICATIONS" not in manifest
    assert "FOREGROUND_SERVICE" not in manifest


def test_the_library_s_manifest_is_merged_into_it():
    manifest = run("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", str(APK))
    asked = ElementTree.parse(LIBRARY / "src" / "main" / "AndroidManifest.xml").getroot()
    names = [element.get("{http://schemas.android.com/apk/res/android}name") for element in asked.iter()]
    names = [name for name in names if name]
    assert "tfliteasr.android.NightTraining" in names
    for name in names:
        assert f'"{name}"' in manifest, name


def test_going_back_is_predicted():
    manifest = run("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", str(APK))
    assert re.search(r"enableOnBackInvokedCallback\(0x[0-9a-f]+\)=true", manifest)


def offset_of_data(apk, info):
    apk.fp.seek(info.header_offset + 26)
    name, extra = struct.unpack("<HH", apk.fp.read(4))
    return info.header_offset + 30 + name + extra


def test_natives_are_stored_at_the_beginning_of_a_page():
    """What `zipalign -c -P 16 4` checks, which not every zipalign knows."""
    with zipfile.ZipFile(APK) as apk:
        natives = [info for info in apk.infolist() if info.filename.endswith(".so")]
        assert natives
        for info in natives:
            assert info.compress_type == zipfile.ZIP_STORED, info.filename
            assert offset_of_data(apk, info) % PAGE == 0, info.filename
        for info in apk.infolist():
            if info.compress_type == zipfile.ZIP_STORED:
                assert offset_of_data(apk, info) % 4 == 0, info.filename


def test_zipalign_says_so_too():
    help = subprocess.run(["zipalign"], capture_output=True, text=True) if shutil.which("zipalign") else None
    if help is None or "-P" not in help.stdout + help.stderr:
        pytest.skip(
            "this machine's zipalign has no -P; test_natives_are_stored_at_the_beginning_of_a_page checked the same"
        )
    run("zipalign", "-c", "-P", "16", "4", str(APK))


def load_alignments(native):
    """Of the segments of an ELF file that are mapped into memory."""
    assert native[:5] == b"\x7fELF\x02", "a 64 bit ELF file"
    (table,) = struct.unpack_from("<Q", native, 32)
    size, count = struct.unpack_from("<HH", native, 54)
    rows = [struct.unpack_from("<IIQQQQQQ", native, table + size * row) for row in range(count)]
    return [row[7] for row in rows if row[0] == LOAD]


def litert():
    """LiteRT's AAR, where Gradle or Maven has brought it to this machine."""
    (version,) = re.findall(
        r"<litert\.version>([^<]+)<", (ROOT / "android_demo" / "pom.xml").read_text(encoding="utf-8")
    )
    homes = (Path.home() / ".gradle" / "caches", Path.home() / ".m2" / "repository" / "com" / "google" / "ai")
    found = [path for home in homes if home.is_dir() for path in home.rglob(f"litert-{version}.aar")]
    return version, os.environ.get("LITERT_AAR") or next(iter(found), None)


def test_litert_is_linked_for_pages_of_16_kb():
    version, aar = litert()
    if aar is None:
        pytest.skip(
            f"litert-{version}.aar is not on this machine, so its natives were not checked; LITERT_AAR=FILE names one"
        )
    with zipfile.ZipFile(aar) as library:
        natives = [name for name in library.namelist() if re.match(r"jni/(arm64-v8a|x86_64)/.*\.so", name)]
        assert natives
        for name in natives:
            assert all(alignment % PAGE == 0 for alignment in load_alignments(library.read(name))), name


def test_this_build_s_tflite_is_linked_for_pages_of_4_kb_alone():
    """As android_demo/README.md says: this APK is for phones with pages of 4 KB, the one that Gradle builds for all."""
    with zipfile.ZipFile(APK) as apk:
        for name in apk.namelist():
            if name.endswith(".so"):
                assert set(load_alignments(apk.read(name))) == {4 * 1024}, name


def test_the_aar_holds_what_gradle_and_android_studio_look_for():
    with zipfile.ZipFile(LIBRARY / "target" / "tfliteasr-android.aar") as aar:
        assert set(aar.namelist()) == {"AndroidManifest.xml", "R.txt", "classes.jar", "proguard.txt"}
        manifest = ElementTree.fromstring(aar.read("AndroidManifest.xml"))
        assert manifest.get("package") == "tfliteasr.android"
        assert b"-keep class org.tensorflow.lite" in aar.read("proguard.txt")
        with aar.open("classes.jar") as classes, zipfile.ZipFile(classes) as jar:
            names = {name for name in jar.namelist() if name.endswith(".class")}
    assert "tfliteasr/android/SpeechEngine.class" in names
    assert all(name.startswith("tfliteasr/android/") for name in names)


def test_the_aar_has_its_pom_sources_and_kdoc_beside_it():
    text = (LIBRARY / "target" / "tfliteasr-android.pom").read_text(encoding="utf-8")
    assert "${" not in text
    pom = ElementTree.fromstring(re.sub(r'\sxmlns="[^"]+"', "", text, count=1))
    version = pom.findtext("version")
    assert pom.findtext("packaging") == "aar"
    with zipfile.ZipFile(LIBRARY / "target" / f"android-{version}-sources.jar") as sources:
        names = {Path(name).name for name in sources.namelist() if name.endswith(".kt")}
    assert names == {path.name for path in (LIBRARY / "src" / "main" / "kotlin").rglob("*.kt")}
    with zipfile.ZipFile(LIBRARY / "target" / "tfliteasr-android-kdoc.jar") as kdoc:
        pages = [name for name in kdoc.namelist() if name.endswith("tfliteasr.android/-speech-engine/index.html")]
        assert pages and "correction" in kdoc.read(pages[0]).decode()


def test_android_11_and_later_will_install_it():
    """They refuse resources.arsc when it is compressed or not aligned to four bytes."""
    with zipfile.ZipFile(APK) as apk:
        assert apk.getinfo("resources.arsc").compress_type == zipfile.ZIP_STORED
    run("zipalign", "-c", "-p", "4", str(APK))


def test_no_call_is_left_that_android_8_cannot_link():
    """invoke-custom of Java's string concatenation or lambdas would fail on the phone: they must be desugared."""
    with zipfile.ZipFile(APK) as apk:
        for name in ("java/lang/invoke/StringConcatFactory", "java/lang/invoke/LambdaMetafactory"):
            assert f"L{name};".encode() not in apk.read("classes.dex"), name
