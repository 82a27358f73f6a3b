//! An Axum app: crates pinned by Cargo.lock, no Procfile.

use axum::{routing::get, Router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let variable = |key| std::env::var(key).expect("the platform sets it");
    let address = format!("{}:{}", variable("BIND_ADDRESS"), variable("PORT"));
    let listener = tokio::net::TcpListener::bind(address).await?;
    let app = Router::new().route("/", get(|| async { "Hello from Axum\n" }));
    axum::serve(listener, app).await
}
