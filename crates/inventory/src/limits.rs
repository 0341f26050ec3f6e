//! Every limit of this crate, with its reason.

/// The longest text about a Device, in characters: DUIS gives its manufacturer and model 30, its versions fewer.
pub const DEVICE_TEXT_MAX: usize = 30;

/// The longest text of a field of a hub, in characters. No published document says which values the CSPs send.
pub const HUB_TEXT_MAX: usize = 60;

/// The longest first line of an address, and the longest name or number of a property, in characters: the postal industry's
/// formats (BS 7666) end at 100.
pub const ADDRESS_TEXT_MAX: usize = 100;

/// The most words of a property filter that are looked at; DUIS gives the whole filter 30 characters.
pub const FILTER_WORDS_MAX: usize = 32;
