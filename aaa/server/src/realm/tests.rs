use super::*;

mod access;
mod hostile;
mod reasons;
