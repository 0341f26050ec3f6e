//! People log in at an Identity Provider of the tests, on servers that share nothing but a store, and attackers try to.

mod browser;
mod connections;
mod corrupt;
mod faults;
mod forged;
mod logins;
mod pages;
mod people;
mod races;
mod register;
mod sessions;
mod sweep;
mod world;
