"""Both builds of android_demo, Gradle's and Maven's, take the same versions and the same source folders."""

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "android_demo"
MODULES = ("core", "jvm", "app")
API_LEVELS = {"8.0.0": "26", "14": "34"}  # of the Android releases that Maven compiles and links against


def pom(module=""):
    """A module's pom.xml without its namespace."""
    text = (DEMO / module / "pom.xml").read_text(encoding="utf-8")
    return ElementTree.fromstring(re.sub(r'\sxmlns="[^"]+"', "", text, count=1))


def gradle(module):
    return (DEMO / module / "build.gradle.kts").read_text(encoding="utf-8")


def versions():
    with (DEMO / "gradle" / "libs.versions.toml").open("rb") as file:
        return tomllib.load(file)["versions"]


def properties():
    return {element.tag: element.text for element in pom().find("properties")}


@pytest.mark.parametrize(
    ("catalogue", "maven"),
    [
        ("kotlin", "kotlin.version"),
        ("junit", "junit.version"),
        ("tflite", "tflite.version"),
        ("tflite-jvm", "tflite-jvm.version"),
        ("javacpp", "javacpp.version"),
        ("jvm-target", "jvm.target"),
        ("android-minSdk", "android.minSdk"),
        ("android-targetSdk", "android.targetSdk"),
    ],
)
def test_versions_are_the_same(catalogue, maven):
    assert versions()[catalogue] == properties()[maven]


def test_maven_leaves_no_compiler_running():
    assert properties()["kotlin.compiler.daemon"] == "false"


def test_the_demo_has_one_version():
    found = {versions()["demo"], pom().findtext("version")}
    found |= {pom(module).findtext("parent/version") for module in (*MODULES, "tflite")}
    assert len(found) == 1


def test_no_version_stands_outside_the_catalogue():
    for module in MODULES:
        assert not re.search(r'"[\w.-]+:[\w.-]+:\d', gradle(module)), module


def test_the_android_releases_are_those_of_the_sdk_levels():
    for release, level in (("oldest", "minSdk"), ("target", "targetSdk")):
        number = properties()[f"android-all.{release}"].split("_")[0].split("-")[0]
        assert API_LEVELS[number] == properties()[f"android.{level}"]


def test_modules_are_the_same():
    included = set(re.findall(r'":(\w+)"', (DEMO / "settings.gradle.kts").read_text(encoding="utf-8")))
    modules = {element.text for element in pom().findall("modules/module")}
    assert included == set(MODULES)
    assert modules == {*MODULES, "tflite"}  # Gradle takes an AAR as it is


@pytest.mark.parametrize("module", ["core", "jvm"])
def test_kotlin_folders_are_the_same(module):
    build = pom(module).find("build")
    maven = [build.findtext("sourceDirectory"), build.findtext("testSourceDirectory")]
    assert re.findall(r'kotlin\.setSrcDirs\(listOf\("([^"]+)"\)\)', gradle(module)) == maven
    assert all((DEMO / module / folder).is_dir() for folder in maven)


def test_app_folders_are_the_same():
    text = gradle("app")
    maven = ElementTree.tostring(pom("app"), encoding="unicode")
    sources = re.findall(r"<sourceDir>([^<$]+)</sourceDir>", maven)
    assert re.findall(r'kotlin\.setSrcDirs\(listOf\("([^"]+)"\)\)', text) == sources == ["src/main/kotlin"]
    (manifest,) = re.findall(r'manifest\.srcFile\("([^"]+)"\)', text)
    (resources,) = re.findall(r'res\.setSrcDirs\(listOf\("([^"]+)"\)\)', text)
    (assets, model) = re.search(r'from\("([^"]+)"\) \{ include\("([^"]+)"\)', text).groups()
    assert f'<copy file="{manifest}"' in maven
    assert f"compile --dir {resources} " in maven
    assert f"<assets>${{project.basedir}}/{assets}</assets>" in maven and f'includes="{model}"' in maven
    assert list((DEMO / "app" / assets).glob(model))


def test_native_libraries_are_for_the_same_processors():
    (listed,) = re.findall(r"abiFilters \+= listOf\(([^)]+)\)", gradle("app"))
    maven = ElementTree.tostring(pom("app"), encoding="unicode")
    assert set(re.findall(r'"([^"]+)"', listed)) == set(re.findall(r"([\w-]+)/\*\.so", maven))
