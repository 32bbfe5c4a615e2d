// The parts of the tests, for those who run them.

mod attack;
mod binding;
mod chain;
mod changes;
mod corpora;
mod drops;
mod exits;
mod forwarding;
mod frames;
mod leaves;
mod matrix;
mod mpls;
mod oracle;
mod probing;
mod programs;
mod queues;
mod random;
mod rig;
mod routed;
mod srv6;
mod team;
mod transit;
mod trees;
mod tunnels;
mod underlay;
mod workers;
