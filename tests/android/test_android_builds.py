"""Both builds of android_demo, Gradle's and Maven's, take the same versions and the same source folders."""

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "android_demo"
MODULES = ("core", "jvm", "android", "app")
MAVEN_ONLY = ("tflite", "consumer")  # Gradle takes an AAR as it is
API_LEVELS = {"8.0.0": 26, "14": 34, "15": 35}  # of the Android releases that Maven compiles, links and tests against


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
        ("junit4", "junit4.version"),
        ("robolectric", "robolectric.version"),
        ("litert", "litert.version"),
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
    found |= {pom(module).findtext("parent/version") for module in (*MODULES, *MAVEN_ONLY)}
    assert len(found) == 1


def test_no_version_stands_outside_the_catalogue():
    for module in MODULES:
        assert not re.search(r'"[\w.-]+:[\w.-]+:\d', gradle(module)), module


def test_the_android_releases_are_those_of_the_sdk_levels():
    level = {
        release: API_LEVELS[properties()[f"android-all.{release}"].split("_")[0].split("-")[0]]
        for release in ("oldest", "linked", "tested")
    }
    assert level["oldest"] == int(properties()["android.minSdk"])
    assert level["tested"] == int(properties()["android.targetSdk"]) >= 35
    assert level["oldest"] < level["linked"] <= level["tested"]
    text = (DEMO / "app" / "src" / "test" / "resources" / "robolectric.properties").read_text(encoding="utf-8")
    assert f"sdk={level['tested']}\n" in text


def test_modules_are_the_same():
    included = set(re.findall(r'":(\w+)"', (DEMO / "settings.gradle.kts").read_text(encoding="utf-8")))
    modules = {element.text for element in pom().findall("modules/module")}
    assert included == set(MODULES)
    assert modules == {*MODULES, *MAVEN_ONLY}


@pytest.mark.parametrize("module", ["core", "jvm"])
def test_kotlin_folders_are_the_same(module):
    build = pom(module).find("build")
    maven = [build.findtext("sourceDirectory"), build.findtext("testSourceDirectory")]
    assert re.findall(r'kotlin\.setSrcDirs\(listOf\("([^"]+)"\)\)', gradle(module)) == maven
    assert all((DEMO / module / folder).is_dir() for folder in maven)


def test_app_folders_are_the_same():
    text = gradle("app")
    maven = ElementTree.tostring(pom("app"), encoding="unicode")
    sources = sorted(re.findall(r"<sourceDir>([^<$]+)</sourceDir>", maven))
    assert (
        re.findall(r'kotlin\.setSrcDirs\(listOf\("([^"]+)"\)\)', text)
        == sources
        == ["src/main/kotlin", "src/test/kotlin"]
    )
    (manifest,) = re.findall(r'manifest\.srcFile\("([^"]+)"\)', text)
    (resources,) = re.findall(r'res\.setSrcDirs\(listOf\("([^"]+)"\)\)', text)
    (assets, model) = re.search(r'from\("([^"]+)"\) \{ include\("([^"]+)"\)', text).groups()
    assert f'<xslt in="{manifest}"' in maven
    assert f"compile --dir {resources} " in maven
    assert f"<assets>${{project.basedir}}/{assets}</assets>" in maven and f'includes="{model}"' in maven
    assert list((DEMO / "app" / assets).glob(model))


def test_native_libraries_are_for_the_same_processors():
    (listed,) = re.findall(r"abiFilters \+= listOf\(([^)]+)\)", gradle("app"))
    maven = ElementTree.tostring(pom("app"), encoding="unicode")
    assert set(re.findall(r'"([^"]+)"', listed)) == set(re.findall(r"([\w-]+)/\*\.so", maven))


def test_library_folders_are_the_same():
    text, maven = gradle("android"), ElementTree.tostring(pom("android"), encoding="unicode")
    (sources,) = re.findall(r'kotlin\.setSrcDirs\(listOf\("([^"]+)"\)\)', text)
    assert sources == pom("android").find("build").findtext("sourceDirectory")
    (manifest,) = re.findall(r'manifest\.srcFile\("([^"]+)"\)', text)
    (rules,) = re.findall(r'consumerProguardFiles\("([^"]+)"\)', text)
    assert f'<copy file="{manifest}"' in maven and f'<copy file="{rules}"' in maven
    assert f"../android/{manifest}" in ElementTree.tostring(pom("app"), encoding="unicode")
    (namespace,) = re.findall(r'namespace = "([^"]+)"', text)
    assert f'package="{namespace}"' in maven.replace("&quot;", '"')


def test_the_library_that_is_published_asks_for_what_gradle_takes():
    published = ElementTree.fromstring(
        re.sub(r'\sxmlns="[^"]+"', "", (DEMO / "android" / "publish.pom").read_text(encoding="utf-8"), count=1)
    )
    dependencies = {
        tuple(row.findtext(name) for name in ("groupId", "artifactId", "version"))
        for row in published.findall("dependencies/dependency")
    }
    catalogue = (DEMO / "gradle" / "libs.versions.toml").read_text(encoding="utf-8")
    assert dependencies == {
        ("tfliteasr", "core", "${project.version}"),
        ("org.jetbrains.kotlin", "kotlin-stdlib", "${kotlin.version}"),
        ("com.google.ai.edge.litert", "litert", "${litert.version}"),
    }
    assert 'litert = { module = "com.google.ai.edge.litert:litert"' in catalogue
    assert re.findall(r"(?:api|implementation)\(([^()]+(?:\([^()]*\))?)\)", gradle("android")) == [
        'project(":core")',
        "libs.litert",
    ]
    (artifact,) = re.findall(r'artifactId = "(\w+)"', gradle("android"))
    assert artifact == published.findtext("artifactId") == pom("android").findtext("artifactId")


def test_litert_has_pages_of_16_kb():
    """1.4.0 is the first release whose natives are linked for them; 1.x has org.tensorflow.lite.Interpreter."""
    major, minor = versions()["litert"].split(".")[:2]
    assert int(major) == 1 and int(minor) >= 4


def test_one_file_alone_knows_the_runtime():
    """TFLite and LiteRT are taken turns behind SignatureModel: no other line differs."""
    knowing = {
        path.name
        for module in ("core", "android", "app", "consumer")
        for path in (DEMO / module / "src").rglob("*.kt")
        if re.search(r"org\.tensorflow|com\.google\.ai\.edge", path.read_text(encoding="utf-8"))
    }
    assert knowing == {"InterpreterModel.kt"}


def test_the_app_lies_on_the_library_alone():
    assert re.findall(r"[^t]implementation\(([^\n]+)\)\n", gradle("app")) == ['project(":android")']
    for path in (DEMO / "android" / "src").rglob("*.kt"):
        assert "tfliteasr.demo" not in path.read_text(encoding="utf-8"), path
