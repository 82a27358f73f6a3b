// SPDX-License-Identifier: Apache-2.0
//! Media types by file extension, and which of them are worth keeping compressed beside the file.

/// The media type of a file name, and whether it is text that compresses well.
pub(crate) fn media_type(name: &[u8]) -> (&'static str, bool) {
    let extension = name.iter().rposition(|b| *b == b'.').map_or(&b""[..], |dot| &name[dot + 1..]);
    let extension = extension.to_ascii_lowercase();
    let extension = std::str::from_utf8(&extension).unwrap_or("");
    let table = [(TEXT, true), (BINARY, false)];
    for (rows, is_text) in table {
        if let Some((_, media)) = rows.iter().find(|(known, _)| known.split(' ').any(|e| e == extension)) {
            return (media, is_text);
        }
    }
    ("application/octet-stream", false)
}

const TEXT: &[(&str, &str)] = &[
    ("html htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js mjs cjs", "text/javascript; charset=utf-8"),
    ("json map", "application/json; charset=utf-8"),
    ("svg", "image/svg+xml; charset=utf-8"),
    ("txt text log", "text/plain; charset=utf-8"),
    ("md markdown", "text/markdown; charset=utf-8"),
    ("xml xsl", "application/xml; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("ics", "text/calendar; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("yaml yml", "application/yaml; charset=utf-8"),
    ("webmanifest", "application/manifest+json; charset=utf-8"),
    ("jsonld", "application/ld+json; charset=utf-8"),
    ("geojson", "application/geo+json; charset=utf-8"),
    ("rss", "application/rss+xml; charset=utf-8"),
    ("atom", "application/atom+xml; charset=utf-8"),
    ("xhtml", "application/xhtml+xml; charset=utf-8"),
    ("toml", "application/toml; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("ico", "image/x-icon"),
    ("bmp", "image/bmp"),
];

const BINARY: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("apng", "image/apng"),
    ("jxl", "image/jxl"),
    ("tif tiff", "image/tiff"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("eot", "application/vnd.ms-fontobject"),
    ("mp4 m4v", "video/mp4"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("ogg oga opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("m4a", "audio/mp4"),
    ("flac", "audio/flac"),
    ("aac", "audio/aac"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz tgz", "application/gzip"),
    ("br", "application/x-brotli"),
    ("zst", "application/zstd"),
    ("xz", "application/x-xz"),
    ("bz2", "application/x-bzip2"),
    ("7z", "application/x-7z-compressed"),
    ("tar", "application/x-tar"),
    ("jar", "application/java-archive"),
    ("epub", "application/epub+zip"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];
