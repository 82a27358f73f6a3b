// SPDX-License-Identifier: Apache-2.0
//! Servers that prove who they are, and every way to fail at it, over real handshakes.

use super::{Trust, secure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a server with a certificate for that name and those years is taken for by a client that asks for `hop3.test`.
fn shake(name: &str, years: std::ops::Range<i32>, issuer: &Issuer, trust: &Trust) -> Result<(), String> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateDer::from(params.signed_by(&key, issuer).unwrap().der().to_vec());
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .unwrap();
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let serving = tokio::spawn(async move {
            if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(accepted).await {
                stream.write_all(b"hello").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        let shaken = secure(stream, "hop3.test", trust, "https://hop3.test").await;
        let result = match shaken {
            Err(problem) => Err(problem.code),
            Ok(mut stream) => {
                let mut said = String::new();
                stream.read_to_string(&mut said).await.unwrap();
                assert_eq!(said, "hello");
                Ok(())
            }
        };
        serving.await.unwrap();
        result
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_server_proves_who_it_is_or_is_told_why_not() {
    let (known, stranger) = (authority(), authority());
    let trust = Trust::Only(known.pem());
    assert_eq!(shake("hop3.test", 2020..2099, &known, &trust), Ok(()));
    let code = |result: Result<(), String>| result.unwrap_err();
    assert_eq!(code(shake("hop3.test", 2020..2099, &stranger, &trust)), "cli.untrusted");
    assert_eq!(code(shake("hop3.test", 2020..2021, &known, &trust)), "cli.certificate-expired");
    assert_eq!(code(shake("hop3.test", 2098..2099, &known, &trust)), "cli.certificate-not-yet-valid");
    assert_eq!(code(shake("other.test", 2020..2099, &known, &trust)), "cli.certificate-other-name");
}

#[test]
fn what_speaks_no_tls_is_told_as_such() {
    let trust = Trust::Only(authority().pem());
    let problem = runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        accepted.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        secure(stream, "hop3.test", &trust, "https://hop3.test").await.err().unwrap()
    });
    assert_eq!(problem.code, "cli.not-https");
}

#[test]
fn a_file_of_authorities_holds_some() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(Trust::read(&file).unwrap_err().code, "cli.bad-ca-file", "{text}");
    }
    std::fs::write(&file, authority().pem()).unwrap();
    assert!(matches!(Trust::read(&file), Ok(Trust::Only(_))));
}
