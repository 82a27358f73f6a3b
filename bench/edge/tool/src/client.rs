// SPDX-License-Identifier: Apache-2.0
//! The clients. Each prints one line when it is done.

use crate::Options;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What every client is told.
struct Aim {
    to: SocketAddr,
    host: String,
    path: String,
    connections: usize,
    seconds: f64,
    rate: f64,
    count: usize,
    size: usize,
}

pub fn run(mode: &str, options: &Options) -> io::Result<()> {
    let aim = Rc::new(Aim {
        to: options.text("to", "").parse().map_err(io::Error::other)?,
        host: options.text("host", "localhost"),
        path: options.text("path", "/s"),
        connections: options.number("connections", 1.0) as usize,
        seconds: options.number("seconds", 1.0),
        rate: options.number("rate", 1000.0),
        count: options.number("count", 100.0) as usize,
        size: options.number("size", 64.0) as usize,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match mode {
            "idle" => idle(&aim).await,
            "echo" => echo(&aim).await,
            "rate" => rate(&aim).await,
            "flow" => flow(&aim).await,
            "handshakes" => handshakes(&aim).await,
            _ => Err(io::Error::other("unknown mode; see main.rs")),
        }
    })
}

fn say(line: &str) {
    println!("{line}");
}

impl Aim {
    fn request(&self) -> Vec<u8> {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) bench\r\n\
             Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\n\
             Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n",
            self.path, self.host
        )
        .into_bytes()
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Sends a request and reads its answer to the end of the body; the status.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &[u8]) -> io::Result<u16> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut bytes = Vec::with_capacity(4096);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let mut left = (end + length.unwrap_or(0)).saturating_sub(bytes.len());
    let mut buffer = vec![0; 64 << 10];
    while left > 0 {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left = left.saturating_sub(count),
        }
    }
    head.get(9..12).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
}

async fn idle(aim: &Rc<Aim>) -> io::Result<()> {
    let request = aim.request();
    let mut kept = Vec::new();
    for _ in 0..aim.connections {
        let mut stream = aim.connect().await?;
        if ask(&mut stream, &request).await? == 200 {
            kept.push(stream);
        }
    }
    say(&kept.len().to_string());
    // Until whoever started this has seen enough.
    std::thread::spawn(|| io::Read::read(&mut io::stdin(), &mut [0; 1])).join().map_err(|_| io::ErrorKind::Other)??;
    Ok(())
}

async fn echo(aim: &Rc<Aim>) -> io::Result<()> {
    let (messages, failed) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
    let until = Instant::now() + Duration::from_secs_f64(aim.seconds);
    let tasks = (0..aim.connections).map(|_| {
        let (aim, messages, failed) = (aim.clone(), messages.clone(), failed.clone());
        tokio::task::spawn_local(async move {
            if converse(&aim, until, &messages).await.is_err() {
                failed.set(failed.get() + 1);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await?;
    }
    say(&format!("{{\"count\": {}, \"failed\": {}}}", messages.get(), failed.get()));
    Ok(())
}

async fn converse(aim: &Aim, until: Instant, messages: &Cell<u64>) -> io::Result<()> {
    let mut stream = aim.connect().await?;
    let open = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        aim.host
    );
    if ask(&mut stream, open.as_bytes()).await? != 101 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // A masked binary message with a mask of zeros.
    let mut message = vec![0x82, 0x80 | aim.size as u8, 0, 0, 0, 0];
    message.resize(6 + aim.size, b'x');
    let mut answer = vec![0; message.len()];
    while Instant::now() < until {
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        messages.set(messages.get() + 1);
    }
    Ok(())
}

/// Due requests are taken by whichever connection is free; waiting for one counts.
async fn rate(aim: &Rc<Aim>) -> io::Result<()> {
    let start = Instant::now();
    let total = (aim.rate * aim.seconds) as usize;
    let next = Rc::new(Cell::new(0));
    let times = Rc::new(RefCell::new(Vec::with_capacity(total)));
    let failed = Rc::new(Cell::new(0));
    let tasks = (0..aim.connections).map(|_| {
        let (aim, next, times, failed) = (aim.clone(), next.clone(), times.clone(), failed.clone());
        tokio::task::spawn_local(async move {
            let request = aim.request();
            let mut stream = None;
            loop {
                let number = next.get();
                if number >= total {
                    return;
                }
                next.set(number + 1);
                let due = start + Duration::from_secs_f64(number as f64 / aim.rate);
                if due > Instant::now() + Duration::from_millis(1) {
                    tokio::time::sleep_until(due.into()).await;
                }
                while Instant::now() < due {
                    tokio::task::yield_now().await;
                }
                let mut open = match stream.take() {
                    Some(open) => open,
                    None => match aim.connect().await {
                        Ok(open) => open,
                        Err(_) => {
                            failed.set(failed.get() + 1);
                            continue;
                        }
                    },
                };
                match ask(&mut open, &request).await {
                    Ok(200) => {
                        times.borrow_mut().push(due.elapsed().as_secs_f64() * 1e6);
                        stream = Some(open);
                    }
                    _ => failed.set(failed.get() + 1),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await?;
    }
    let mut times = times.take();
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    say(&format!(
        "{{\"count\": {}, \"failed\": {}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"seconds\": {:.3}}}",
        times.len(),
        failed.get(),
        at(0.5),
        at(0.99),
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Until `count` requests were answered or standard input ends; nothing is ever sent twice.
async fn flow(aim: &Rc<Aim>) -> io::Result<()> {
    let start = Instant::now();
    let (answered, failed) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = is_over.clone();
    std::thread::spawn(move || {
        io::Read::read(&mut io::stdin(), &mut [0; 1]).ok();
        told.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let tasks = (0..aim.connections).map(|_| {
        let (aim, answered, failed, is_over) = (aim.clone(), answered.clone(), failed.clone(), is_over.clone());
        tokio::task::spawn_local(async move {
            let request = aim.request();
            let mut stream = None;
            while answered.get() < aim.count && !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let result = async {
                    let mut open = match stream.take() {
                        Some(open) => open,
                        None => aim.connect().await?,
                    };
                    let status = ask(&mut open, &request).await?;
                    stream = Some(open);
                    io::Result::Ok(status)
                };
                match result.await {
                    Ok(200) => answered.set(answered.get() + 1),
                    _ => failed.set(failed.get() + 1),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await?;
    }
    let seconds = start.elapsed().as_secs_f64();
    say(&format!("{{\"count\": {}, \"failed\": {}, \"seconds\": {seconds:.3}}}", answered.get(), failed.get()));
    Ok(())
}

async fn handshakes(aim: &Rc<Aim>) -> io::Result<()> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust::Anybody))
        .with_no_client_auth();
    // Every one is a full handshake.
    config.resumption = rustls::client::Resumption::disabled();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (left, good) = (Rc::new(Cell::new(aim.count)), Rc::new(Cell::new(0)));
    let start = Instant::now();
    let tasks = (0..aim.connections).map(|_| {
        let (aim, connector, left, good) = (aim.clone(), connector.clone(), left.clone(), good.clone());
        tokio::task::spawn_local(async move {
            let request = aim.request();
            while left.get() > 0 {
                left.set(left.get() - 1);
                let once = async {
                    let name = rustls::pki_types::ServerName::try_from(aim.host.clone()).map_err(io::Error::other)?;
                    let mut stream = connector.connect(name, aim.connect().await?).await?;
                    ask(&mut stream, &request).await
                };
                if once.await.is_ok_and(|status| status == 200) {
                    good.set(good.get() + 1);
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await?;
    }
    let failed = aim.count - good.get();
    let seconds = start.elapsed().as_secs_f64();
    say(&format!("{{\"count\": {}, \"failed\": {failed}, \"seconds\": {seconds:.3}}}", good.get()));
    Ok(())
}

mod trust;
