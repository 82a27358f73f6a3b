// SPDX-License-Identifier: Apache-2.0
//! The text of a rule set: how bodies are read, what Hop3 allows beside the rules' own defaults, the administrator's
//! files, the Core Rule Set, and what an app leaves out.

use std::path::Path;

/// Where Debian's `modsecurity-crs` puts the rules.
const RULES: &str = "/usr/share/modsecurity-crs/rules";
/// Where it puts what administrators change.
const SETTINGS: &str = "/etc/modsecurity/crs";

/// Says that the body is only a beginning. A visitor's header of that name is dropped (`engine`).
pub(crate) const CUT: &str = "x-hop3-waf-cut";

/// Says that the body is a text, which stands in the only field of a form. Dropped as the other is.
pub(crate) const TEXT: &str = "x-hop3-waf-text";

/// Bodies are parsed by their type; one that is not what it says is a match. Limits are those of a question, whose text
/// may be three times as long as a field.
const BODIES: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess Off
SecRequestBodyLimit 393232
SecRequestBodyNoFilesLimit 393232
SecRequestBodyLimitAction ProcessPartial
SecRequestBodyJsonDepthLimit 128
SecArgumentsLimit 1000
SecPcreMatchLimit 100000
SecTmpDir /tmp/
SecDataDir /tmp/
SecAuditEngine Off
SecArgumentSeparator &
SecCookieFormat 0
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?i:application/(?:[a-z0-9.+-]+[+])?json)" \
    "id:9090001,phase:1,t:none,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?i:(?:application/(?:[a-z0-9.+-]+[+])?|text/)xml)" \
    "id:9090002,phase:1,t:none,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule &REQUEST_HEADERS:x-hop3-waf-text "!@eq 0" \
    "id:9090003,phase:1,t:none,pass,nolog,ctl:requestBodyProcessor=URLENCODED"
"#;

/// REST methods and types of bodies that apps take every day. What the administrator sets after it counts more.
const OURS: &str = r#"
SecAction "id:9090010,phase:1,nolog,pass,t:none,\
setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PUT PATCH DELETE',\
setvar:'tx.allowed_request_content_type=|application/x-www-form-urlencoded| |multipart/form-data| |multipart/related| |text/xml| |application/xml| |application/soap+xml| |application/json| |application/cloudevents+json| |application/cloudevents-batch+json| |application/octet-stream| |application/csp-report| |application/reports+json| |application/merge-patch+json| |application/json-patch+json| |application/ld+json| |application/activity+json| |application/vnd.api+json| |application/graphql| |text/plain| |text/markdown| |text/csv|'"
"#;

/// A body that cannot be read as what it says it is could be read by the app all the same; so could arguments beyond
/// those that are looked at, and what a rule gave up on.
const MALFORMED: &str = r#"
SecRule REQBODY_ERROR "!@eq 0" "id:9090020,phase:2,pass,t:none,log,severity:'CRITICAL',\
msg:'The body is not what its type says',chain"
    SecRule &REQUEST_HEADERS:x-hop3-waf-cut "@eq 0" "t:none,setvar:'tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule &ARGS "@ge 1000" "id:9090021,phase:2,pass,t:none,log,severity:'CRITICAL',\
msg:'More arguments than are looked at',setvar:'tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule TX:/^MSC_/ "!@streq 0" "id:9090022,phase:2,pass,t:none,log,severity:'CRITICAL',\
msg:'A rule gave up',setvar:'tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
"#;

/// Whether there are rules on this machine.
pub(crate) fn are_there() -> Result<(), String> {
    match Path::new(RULES).join("REQUEST-901-INITIALIZATION.conf").exists() {
        true => Ok(()),
        false => Err(format!("there are no rules in {RULES}: install modsecurity-crs")),
    }
}

pub(crate) fn text(paranoia: u8, without: &[u32]) -> Result<String, String> {
    are_there()?;
    let mut out = format!("{BODIES}{OURS}");
    let mut include = |file: String| {
        if Path::new(&file).exists() {
            out += &format!("Include {file}\n");
        }
    };
    include(format!("{SETTINGS}/crs-setup.conf"));
    include(format!("{SETTINGS}/REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf"));
    out += &format!(
        "SecAction \"id:9090030,phase:1,nolog,pass,t:none,setvar:tx.paranoia_level={paranoia}\"\n{MALFORMED}"
    );
    // Answers are not looked at, so their rules are not read.
    out += &format!("Include {RULES}/REQUEST-*.conf\n");
    for id in without {
        out += &format!("SecRuleRemoveById {id}\n");
    }
    Ok(out)
}
