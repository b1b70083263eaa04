"""The size of an APK, and of the same with the natives of the Flex library for its processors.

mvn dependency:copy -Dartifact=org.tensorflow:tensorflow-lite-select-tf-ops:2.14.0:aar -DoutputDirectory=target
python flex_size.py app/target/android-demo-debug.apk target/tensorflow-lite-select-tf-ops-2.14.0.aar
"""

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path


def add_natives(apk: Path, aar: Path) -> list[str]:
    """Put the AAR's natives into an APK, compressed as those that are there; their names."""
    with zipfile.ZipFile(apk, "a") as to, zipfile.ZipFile(aar) as library:
        natives = [info for info in to.infolist() if info.filename.endswith(".so")]
        processors = {info.filename.split("/")[1] for info in natives}
        added = [name for name in library.namelist() if name.endswith(".so") and name.split("/")[1] in processors]
        for name in added:
            to.writestr(name.replace("jni/", "lib/", 1), library.read(name), natives[0].compress_type, compresslevel=9)
    return added


def main(apk: Path, aar: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        larger = Path(shutil.copy(apk, folder))
        added = add_natives(larger, aar)
        print(f"{apk.name}: {apk.stat().st_size / 1e6:.1f} MB")
        print(f"with {', '.join(added)} of {aar.name}: {larger.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
