import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
    `maven-publish`
}

group = "tfliteasr"
version = libs.versions.demo.get()

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
        // Android 8 has the library of Java 8: with a newer one, methods that it lacks would compile
        freeCompilerArgs.add("-Xjdk-release=${libs.versions.jvm.target.get()}")
        allWarningsAsErrors.set(true)
    }
}

dependencies {
    testImplementation(libs.junit.jupiter)
    testRuntimeOnly(libs.junit.launcher)
}

tasks.test {
    useJUnitPlatform()
}

publishing {
    publications { register<MavenPublication>("release") { from(components["java"]) } }
}
