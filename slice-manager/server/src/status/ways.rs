//! Whether the edges of a slice reach one another, by what they say of their paths.

use std::collections::BTreeSet;

use api::v1;
use model::{NodeName, PathId, SliceName};

use super::{EdgeView, Weight};

impl<'a> EdgeView<'a> {
    /// The other edges of a slice, each with the paths there.
    fn ways(&self, slice: &SliceName) -> BTreeSet<(&'a NodeName, PathId, Option<PathId>)> {
        let segments = self.slices.get(slice).into_iter().flat_map(|slice| &slice.segments);
        let remotes = segments.flat_map(|segment| &segment.remotes);
        remotes.map(|remote| (&remote.edge, remote.working, remote.backup)).collect()
    }

    /// Does the edge say that a path leads nowhere?
    fn down(&self, to: &NodeName, id: PathId) -> Option<&'a v1::RealisedPath> {
        let path = self.paths.get(&(to.as_str(), id.get().into()));
        path.copied().filter(|path| path.state() == v1::PathState::Down)
    }

    /// Other edges that no path leads to.
    pub(super) fn cut_off(&self, slice: &SliceName) -> Vec<(Weight, String)> {
        let edge = self.name;
        let cut_off = |(to, working, backup): (&NodeName, PathId, Option<PathId>)| {
            let path = self.down(to, working)?;
            if backup.is_some_and(|backup| self.down(to, backup).is_none()) {
                return None;
            }
            Some(if path.proven {
                (Weight::Bad, format!("no path from {edge} to {to} works"))
            } else {
                (Weight::Pending, format!("{edge} has had no answer from {to} yet"))
            })
        };
        self.ways(slice).into_iter().filter_map(cut_off).collect()
    }

    /// Other edges that are reached by the backup path.
    pub(super) fn detours(&self, slice: &SliceName) -> Vec<String> {
        let edge = self.name;
        let detour = |(to, working, backup): (&NodeName, PathId, Option<PathId>)| {
            let backup = backup.filter(|backup| self.down(to, *backup).is_none())?;
            self.down(to, working).map(|_| format!("{edge} reaches {to} by its backup path {backup}"))
        };
        self.ways(slice).into_iter().filter_map(detour).collect()
    }
}
