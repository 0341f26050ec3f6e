//! Values for the parameters of a prepared statement, as clients put them: a stream of one batch with one row.

use crate::columns::{plain, plain_schema};
use crate::error::FlightError;
use crate::limits::{PARAMETERS_BYTES_MAX, PUT_BYTES_MAX};
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::io::Cursor;

/// The messages of one put, as they arrive.
#[derive(Debug, Default)]
pub struct Put {
    messages: Vec<FlightData>,
    bytes: usize,
}

impl Put {
    /// Takes one more message.
    ///
    /// Errors: `Malformed`, where they are more than values of parameters come to.
    pub fn take(&mut self, message: FlightData) -> Result<(), FlightError> {
        self.bytes += message.data_header.len() + message.data_body.len() + message.app_metadata.len();
        // Each costs something, even if it is empty.
        self.bytes += 64;
        if self.bytes > PUT_BYTES_MAX {
            return Err(FlightError::malformed(format!("parameters may have {PUT_BYTES_MAX} bytes")));
        }
        self.messages.push(message);
        Ok(())
    }

    /// The command that the messages are for.
    ///
    /// Errors: `Malformed`.
    pub fn command(&self) -> Result<&[u8], FlightError> {
        let descriptor = self.messages.first().and_then(|first| first.flight_descriptor.as_ref());
        let descriptor =
            descriptor.ok_or_else(|| FlightError::malformed("the first message has no descriptor"))?;
        Ok(&descriptor.cmd)
    }

    /// The values, of which there is one row; `None`: nothing was put.
    ///
    /// Errors: `Malformed`.
    pub(crate) async fn values(self) -> Result<Option<Vec<u8>>, FlightError> {
        let messages = self.messages.into_iter().filter(|message| !message.data_header.is_empty());
        let messages =
            stream::iter(messages.map(Ok::<_, arrow_flight::error::FlightError>).collect::<Vec<_>>());
        let batches = FlightRecordBatchStream::new_from_flight_data(messages.boxed());
        let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(FlightError::malformed)?;
        let batches: Vec<_> = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        match batches.as_slice() {
            [] => Ok(None),
            [batch] if batch.num_rows() == 1 => written(batch).map(Some),
            _ => Err(FlightError::malformed(
                "parameters are one row of values, a statement is carried out once for each",
            )),
        }
    }
}

fn written(batch: &RecordBatch) -> Result<Vec<u8>, FlightError> {
    let schema = plain_schema(&batch.schema());
    let batch = plain(batch, &schema).map_err(FlightError::malformed)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    let values = writer.into_inner()?;
    if values.len() > PARAMETERS_BYTES_MAX {
        let most = format!(
            "the values of parameters may have {PARAMETERS_BYTES_MAX} bytes; these have {}",
            values.len()
        );
        return Err(FlightError::malformed(most));
    }
    Ok(values)
}

/// Values as they were written.
pub(crate) fn read(values: &[u8]) -> Result<RecordBatch, FlightError> {
    let mut batches = StreamReader::try_new(Cursor::new(values), None)?;
    batches.next().ok_or(FlightError::Unknown)?.map_err(Into::into)
}
