//! The cluster that is a folder: manifests in memory, with what an API server adds to them.
//!
//! I/O, but for [`world`], [`admission`] and [`simulation`], which know neither files nor clock. The files are never changed; [`export`] writes results elsewhere.
//!
//! * [`load`] reads manifests;
//! * [`world`] keeps them as a cluster would: resource versions, uids, finalizers, garbage collection;
//! * [`admission`] is what rules say of an object before it is there;
//! * `neighbours` is what such a rule may know of other objects;
//! * [`simulation`] drives an engine on a world in simulated time: `plan`, `test`, `run --once`;
//! * [`folder`] is the [`Cluster`](crate::cluster::Cluster) of `run --manifests`, which follows the files;
//! * [`export`] is `--write-manifests`, [`state_file`] is `--state`.

pub mod admission;
pub mod export;
pub mod folder;
pub mod load;
mod neighbours;
pub mod simulation;
pub mod state_file;
pub mod world;

pub use load::{Manifest, Manifests};
pub use simulation::Simulation;
pub use world::World;
