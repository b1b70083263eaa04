import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
    application
}

java {
    sourceCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
    targetCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
}

kotlin {
    sourceSets {
        main { kotlin.setSrcDirs(listOf("src/main/kotlin")) }
        test { kotlin.setSrcDirs(listOf("src/test/kotlin")) }
    }
    compilerOptions {
        jvmTarget.set(JvmTarget.fromTarget(libs.versions.jvm.target.get()))
        freeCompilerArgs.add("-Xjdk-release=${libs.versions.jvm.target.get()}")
        allWarningsAsErrors.set(true)
    }
}

// the natives of one platform: on another one, -Pjavacpp.platform=macosx-arm64 or whatever it is
val platform = providers.gradleProperty("javacpp.platform").getOrElse("linux-x86_64")

dependencies {
    implementation(project(":core"))
    implementation(libs.tflite.jvm)
    runtimeOnly(variantOf(libs.tflite.jvm) { classifier(platform) })
    runtimeOnly(variantOf(libs.javacpp) { classifier(platform) })
    testImplementation(libs.junit.jupiter)
    testRuntimeOnly(libs.junit.launcher)
}

application {
    mainClass.set("tfliteasr.jvm.MainKt")
}

tasks.test {
    useJUnitPlatform()
    doFirst { mkdir("target") } // where the tests leave what the Python side reads
}
