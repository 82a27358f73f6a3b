// SPDX-License-Identifier: Apache-2.0
//! What is read from build.gradle.

use super::{Kit, release};

#[test]
fn plugins_say_how_the_program_is_made() {
    let kit = Kit::of;
    assert_eq!(
        kit("plugins {\n  id 'org.springframework.boot' version '3.3.0'\n  id 'java'\n}"),
        Kit::SpringBoot
    );
    assert_eq!(kit("plugins {\n  id(\"com.gradleup.shadow\") version \"8.3.0\"\n}"), Kit::Shadow);
    assert_eq!(kit("plugins {\n  application\n}"), Kit::Application);
    assert_eq!(kit("apply plugin: 'application'"), Kit::Application);
    assert_eq!(kit("plugins {\n  id 'java'\n  // id 'application'\n}"), Kit::Plain);
}

#[test]
fn the_release_is_found_in_any_of_its_places() {
    let release = |text| release(text).unwrap_or_default();
    assert_eq!(release("languageVersion = JavaLanguageVersion.of(21)"), "21");
    assert_eq!(release("sourceCompatibility = JavaVersion.VERSION_1_8"), "1.8");
    assert_eq!(release("sourceCompatibility = '17'"), "17");
    assert_eq!(release("plugins { id 'java' }"), "");
}
