// SPDX-License-Identifier: Apache-2.0
//! One DNS question and its answer, by UDP and, where the answer is too long for that, by TCP.

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// A datagram may be lost: this often one is sent, and waited for so long.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks; an answer with any code is one.
pub(super) async fn ask(server: SocketAddr, name: &Name, kind: RecordType) -> io::Result<Message> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), kind));
    let bytes = question.to_vec().map_err(io::Error::other)?;
    let is_answer = |message: &Message| {
        message.id == question.id && (message.queries.is_empty() || message.queries == question.queries)
    };
    let answer = parse(&by_udp(server, &bytes).await?)?;
    let answer = match answer.truncation {
        true => parse(&by_tcp(server, &bytes).await?)?,
        false => answer,
    };
    if is_answer(&answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Sends a datagram until one with the same id comes back.
async fn by_udp(server: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let mut buffer = vec![0; 4096];
    for _ in 0..TRIES {
        socket.send(bytes).await?;
        let heard = async {
            loop {
                let count = socket.recv(&mut buffer).await?;
                if count >= 12 && buffer[..2] == bytes[..2] {
                    return Ok::<_, io::Error>(count);
                }
            }
        };
        if let Ok(count) = tokio::time::timeout(PATIENCE, heard).await {
            buffer.truncate(count?);
            return Ok(buffer);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// As a message of a stream: two bytes of length, then the message.
pub(super) async fn by_tcp(server: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let patience = PATIENCE * u32::try_from(TRIES).unwrap_or(1);
    tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn parse(bytes: &[u8]) -> io::Result<Message> {
    Message::from_vec(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}
