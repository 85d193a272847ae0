//! The style sheet, the script and the icon: compiled in, and named by what they hold, so that a browser may keep them for
//! ever and never has an old one.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

/// Bytes of the digest that name a file.
const NAME: usize = 6;

/// A file that pages need.
pub(crate) struct Asset {
    path: String,
    kind: &'static str,
    text: &'static str,
}

pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("../assets/console.css")));
pub(crate) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("../assets/console.js")));
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("../assets/icon.svg")));

impl Asset {
    fn new(extension: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text);
        let name = digest.iter().take(NAME).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        let path = format!("/assets/{name}.{extension}");
        Self { path, kind, text }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let asked = format!("/assets/{name}");
    let found = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.path == asked);
    let Some(asset) = found else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.text).into_response()
}
