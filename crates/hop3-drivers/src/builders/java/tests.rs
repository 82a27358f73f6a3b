// SPDX-License-Identifier: Apache-2.0
//! What is read from pom.xml and build.gradle.

use super::{Jar, Pom};

#[test]
fn pom_says_release_and_form_of_the_jar() {
    let plain = Pom::parse("<properties><java.version> 21 </java.version></properties>");
    assert_eq!(plain, Pom { release: Some("21".into()), jar: Jar::Archive, pattern: "*.jar" });
    let assembled = Pom::parse("<descriptorRef>jar-with-dependencies</descriptorRef>");
    assert_eq!(assembled.pattern, "*-jar-with-dependencies.jar");
    let quarkus = Pom::parse("<artifactId>quarkus-maven-plugin</artifactId><release>${java}</release>");
    assert_eq!((quarkus.jar, quarkus.release), (Jar::Quarkus, None));
}
