// SPDX-License-Identifier: Apache-2.0
//! One addon out of a backup, whatever else is in it: in place of what it holds now, or as a new one; or one table of it.

use super::Work;
use crate::server::internal;
use crate::verb::backup::manifest::Stream;
use crate::verb::backup::service::Way;
use hop3_core::addon::WantedTable;
use hop3_core::backup::RestoreBackupRequest;
use hop3_core::name::{AddonName, AppName};
use hop3_core::problem::{Kind, Problem};

impl Work<'_> {
    pub(super) fn addon(&self, name: &AddonName, request: &RestoreBackupRequest) -> Result<(), Problem> {
        let stream = self.stream(name)?;
        let way = Way { server: self.server, place: &self.place, tell: self.tell };
        if let Some(table) = &request.table {
            let table = WantedTable { name: table.clone(), new_name: request.new_table.clone() };
            return way.restore_table(stream, &table);
        }
        let new_name = request.new_name.as_ref();
        let into: AddonName = new_name.map_or(name.as_str(), AppName::as_str).parse()?;
        let is_there = self.server.store.addon(&into).map_err(internal)?.is_some();
        if is_there && new_name.is_some() {
            let title = format!("there is an addon \"{into}\" already");
            return Err(
                Problem::new(Kind::Conflict, "addon.exists", title).hint("choose another name after --as")
            );
        }
        if !is_there {
            way.create(stream, &into)?;
        }
        let restored = way.restore(stream, &into);
        if restored.is_err() && !is_there {
            way.destroy(&into)?;
        }
        restored
    }

    fn stream(&self, name: &AddonName) -> Result<&Stream, Problem> {
        let streams = &self.manifest.streams;
        streams.iter().find(|stream| stream.name == *name).ok_or_else(|| {
            let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
            let title = format!("the backup has no addon \"{name}\"");
            Problem::new(Kind::NotFound, "backup.no-addon", title)
                .detail(format!("it has: {}", names.join(", ")))
        })
    }
}
