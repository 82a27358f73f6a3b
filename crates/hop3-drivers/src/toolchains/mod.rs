//! TEMP
use hop3_core::{Kind, Problem, driver::*, layout::Layout, plan::Toolchain, release::FoundToolchain};
use std::{path::PathBuf, sync::Arc};
pub struct Installed;
impl Installed {
    pub fn new(_: &Layout, _: Vec<PathBuf>, _: Arc<dyn Runner>) -> Self {
        Installed
    }
}
impl Toolchains for Installed {
    fn provide(&self, w: &Toolchain, _: &mut dyn FnMut(&str)) -> Result<FoundToolchain, Problem> {
        if w.name == "python" || w.name == "uv" {
            return Ok(FoundToolchain { version: "3".into(), prefix: "/usr".into() });
        }
        Err(Problem::new(Kind::User, "toolchain.unavailable", "temp"))
    }
    fn installed(&self) -> Vec<(String, FoundToolchain)> {
        vec![]
    }
}
