//! Arrow Flight SQL over secured sessions.
