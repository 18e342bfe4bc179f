//! Batching without a timer: what is ready travels together, and nothing waits for company.

use futures::Stream;
use tokio::sync::mpsc;

/// Yields everything that is ready, at most `count_max` at a time, as soon as there is one.
pub fn batches<T: Send + 'static>(
    receiver: mpsc::Receiver<T>,
    count_max: usize,
) -> impl Stream<Item = Vec<T>> + Send + 'static {
    futures::stream::unfold(receiver, move |mut receiver| async move {
        let mut ready = Vec::new();
        match receiver.recv_many(&mut ready, count_max).await {
            0 => None,
            _ => Some((ready, receiver)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    #[tokio::test]
    async fn what_is_ready_travels_together_up_to_the_limit() {
        let (sender, receiver) = mpsc::channel(8);
        for number in 0..5 {
            sender.send(number).await.unwrap();
        }
        drop(sender);
        let batches: Vec<Vec<i32>> = batches(receiver, 3).collect().await;
        assert_eq!(batches, [vec![0, 1, 2], vec![3, 4]]);
    }
}
