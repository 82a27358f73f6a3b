// SPDX-License-Identifier: Apache-2.0
//! Spool: an upload is written to a nameless file first, so that a slow client holds neither a lock nor memory, and
//! the answer begins only when the request is whole.

use super::reply::Failure;
use crate::server::internal;
use axum::body::Body;
use futures_util::StreamExt;
use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use tokio::io::AsyncWriteExt;

/// Larger uploads are refused.
const LIMIT_BYTES: u64 = 1 << 30;

/// Gives the upload as a file at its beginning.
pub(super) async fn spool(layout: &Layout, body: Body) -> Result<File, Failure> {
    let file = unnamed(layout).map_err(|e| Failure(internal(e)))?;
    let mut file = tokio::fs::File::from_std(file);
    let mut data = body.into_data_stream();
    let mut size = 0;
    while let Some(chunk) = data.next().await {
        let chunk = chunk.map_err(|e| {
            Problem::new(Kind::User, "source.upload-cut", "the upload ended before it was whole")
                .detail(e.to_string())
        })?;
        size += chunk.len() as u64;
        if size > LIMIT_BYTES {
            let problem = Problem::new(Kind::User, "source.too-large", "the upload is larger than 1 GiB");
            return Err(problem
                .hint("keep data and build results out of it with .gitignore or .hop3ignore")
                .into());
        }
        file.write_all(&chunk).await.map_err(|e| Failure(internal(e)))?;
    }
    file.flush().await.map_err(|e| Failure(internal(e)))?;
    let mut file = file.into_std().await;
    file.seek(SeekFrom::Start(0)).map_err(|e| Failure(internal(e)))?;
    Ok(file)
}

/// A file without a name (O_TMPFILE) vanishes with its last descriptor, whatever happens.
fn unnamed(layout: &Layout) -> std::io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let directory = layout.run_of("server");
    let fd =
        openat(CWD, directory, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(fd))
}
