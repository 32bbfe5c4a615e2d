mod access;
mod accounting;
mod again;
mod hostile;
mod life;
mod limits;
mod measure;
mod reasons;
