"""The APK that `make android` built: signed, installable, and unable to reach the internet."""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APK = ROOT / "android_demo" / "app" / "target" / "android-demo-debug.apk"

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
