import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

val shippedModel = tasks.register<Sync>("shippedModel") {
    from("../../tflite_asr/assets") { include("commands.*") }
    into(layout.buildDirectory.dir("shippedModel"))
}
tasks.named("preBuild") { dependsOn(shippedModel) }

android {
    namespace = "tfliteasr.demo"
    compileSdk = libs.versions.android.targetSdk.get().toInt()

    defaultConfig {
        applicationId = "tfliteasr.demo"
        minSdk = libs.versions.android.minSdk.get().toInt()
        targetSdk = libs.versions.android.targetSdk.get().toInt()
        versionCode = 1
        versionName = libs.versions.demo.get()
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    sourceSets["main"].run {
        manifest.srcFile("src/main/AndroidManifest.xml")
        kotlin.setSrcDirs(listOf("src/main/kotlin"))
        res.setSrcDirs(listOf("src/main/res"))
        assets.setSrcDirs(listOf(shippedModel.map { it.destinationDir }))
    }
    sourceSets["test"].run {
        kotlin.setSrcDirs(listOf("src/test/kotlin"))
        resources.setSrcDirs(listOf("src/test/resources"))
    }

    testOptions {
        unitTests {
            isIncludeAndroidResources = true
            all {
                it.maxHeapSize = "3g"
                it.systemProperty("screenshots", providers.gradleProperty("screenshots").getOrElse(""))
            }
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
    }
}

kotlin {
    compilerOptions {
        jvmTarget.set(JvmTarget.fromTarget(libs.versions.jvm.target.get()))
        allWarningsAsErrors.set(true)
    }
}

dependencies {
    implementation(project(":android"))
    testImplementation(project(":jvm"))
    testImplementation(libs.robolectric)
    testImplementation(libs.junit4)
}
