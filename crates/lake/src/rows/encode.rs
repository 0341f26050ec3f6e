//! Fragments to columns.

use crate::rows::anchor;
use crate::rows::packed::{self, Packed};
use crate::rows::schema::FRAGMENTS;
use arrow::array::{
    ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use gridtrail_model::Fragment;
use gridtrail_runs::RunsError;
use std::fmt::{Display, Write};
use std::sync::Arc;

/// Columns of a run under construction.
#[derive(Default)]
struct Columns {
    device: BinaryBuilder,
    received: TimestampMillisecondBuilder,
    user: BinaryBuilder,
    variant: StringBuilder,
    mpxn: StringBuilder,
    region: StringBuilder,
    foreign_counter: Int64Builder,
    shape: BinaryBuilder,
    tail: BinaryBuilder,
    packed: Packed,
    text: String,
}

/// One batch of rows. Every fragment must have a placement time; the caller parks or joins those that have none.
pub(crate) fn batch(fragments: &[&Fragment]) -> Result<RecordBatch, RunsError> {
    let mut columns = Columns::default();
    for fragment in fragments {
        columns.push(fragment)?;
    }
    RecordBatch::try_new(Arc::clone(&FRAGMENTS), columns.finish())
        .map_err(|_| RunsError::Internal("columns of a run do not fit its schema"))
}

impl Columns {
    fn push(&mut self, fragment: &Fragment) -> Result<(), RunsError> {
        let placement =
            fragment.placement().ok_or(RunsError::Internal("a fragment without a place was written"))?;
        self.device.append_option(anchor::of_fragment(fragment).map(|key| key.to_bytes()));
        self.received.append_value(placement.millis());
        self.user.append_value(fragment.key.user.to_bytes());
        push_text(&mut self.text, fragment.variant.value(), &mut self.variant);
        push_text(&mut self.text, fragment.mpxn.value(), &mut self.mpxn);
        self.region.append_option(fragment.region.value().map(|region| region.as_str()));
        self.foreign_counter.append_option(packed::foreign_counter(fragment).map(u64::cast_signed));
        self.packed.pack(fragment, placement);
        self.shape.append_value(&self.packed.shape);
        self.tail.append_value(&self.packed.tail);
        Ok(())
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.device.finish()),
            Arc::new(self.received.finish().with_timezone("UTC")),
            Arc::new(self.user.finish()),
            Arc::new(self.variant.finish()),
            Arc::new(self.mpxn.finish()),
            Arc::new(self.region.finish()),
            Arc::new(self.foreign_counter.finish()),
            Arc::new(self.shape.finish()),
            Arc::new(self.tail.finish()),
        ]
    }
}

fn push_text<T: Display>(text: &mut String, value: Option<&T>, column: &mut StringBuilder) {
    text.clear();
    match value {
        // Writing to a String cannot fail.
        Some(value) if write!(text, "{value}").is_ok() => column.append_value(&text),
        _ => column.append_null(),
    }
}
