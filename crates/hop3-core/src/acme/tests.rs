// SPDX-License-Identifier: Apache-2.0
//! Settings by change: what is kept, what is refused, what is shown.

use super::*;

fn zerossl() -> AcmeChange {
    let eab = Eab { kid: "k1".into(), hmac: Secret::new("c2VjcmV0".into()) };
    AcmeChange { authorities: Some(vec!["zerossl".into()]), eab: Some(eab), ..AcmeChange::default() }
}

#[test]
fn nothing_is_asked_before_somebody_agreed() {
    let acme = Acme::default().changed(AcmeChange::default()).unwrap();
    assert!(!acme.is_on());
    let acme = acme.changed(AcmeChange { agree_tos: Some(true), ..AcmeChange::default() }).unwrap();
    assert!(acme.is_on());
    assert_eq!(acme.authorities[0].name(), "letsencrypt");
}

#[test]
fn an_authority_keeps_its_binding_when_the_order_changes() {
    let acme = Acme::default().changed(zerossl()).unwrap();
    let both = Some(vec!["letsencrypt".into(), "zerossl".into()]);
    let acme = acme.changed(AcmeChange { authorities: both, ..AcmeChange::default() }).unwrap();
    assert!(acme.authorities[0].eab.is_none());
    assert_eq!(acme.authorities[1].eab.as_ref().unwrap().kid, "k1");
}

#[test]
fn secrets_are_kept_on_disk_and_not_shown() {
    let acme = Acme::default().changed(zerossl()).unwrap();
    let shown = serde_json::to_string(&acme.shown()).unwrap();
    assert!(shown.contains("k1") && !shown.contains("c2VjcmV0"), "{shown}");
    let kept = serde_json::to_string(&acme).unwrap();
    assert!(serde_json::from_str::<Acme>(&kept).unwrap() == acme, "{kept}");
}

#[test]
fn what_cannot_be_is_refused() {
    let code = |change| Acme::default().changed(change).err().map(|problem| problem.code);
    let of = |name: &str| AcmeChange { authorities: Some(vec![name.into()]), ..AcmeChange::default() };
    assert_eq!(code(of("letsencrpyt")).as_deref(), Some("acme.unknown-authority"));
    assert_eq!(code(of("http://ca.example.org/dir")).as_deref(), Some("acme.unknown-authority"));
    assert_eq!(code(of("https://ca.example.org/dir")), None);
    let contact = AcmeChange { contact: Some(vec!["ada".into()]), ..AcmeChange::default() };
    assert_eq!(code(contact).as_deref(), Some("acme.bad-contact"));
    let dns = AcmeChange { challenge: Some(ChallengeKind::Dns01), ..AcmeChange::default() };
    assert_eq!(code(dns).as_deref(), Some("acme.no-dns"));
}

#[test]
fn public_authorities_are_not_asked_for_special_names() {
    let public = Authority::named("letsencrypt").unwrap();
    let private = Authority::named("https://ca.lan/acme").unwrap();
    for host in ["shop.test", "nas.lan", "a.b.internal"] {
        assert!(!public.may_issue(host) && private.may_issue(host), "{host}");
    }
    assert!(!public.may_issue("shop.localhost") && !private.may_issue("shop.localhost"));
    assert!(public.may_issue("plan.org") && public.may_issue("latest.org"));
}
