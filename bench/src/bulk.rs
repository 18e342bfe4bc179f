//! Bulk: one person's orders over one stream, as a payroll is sent. Orders go in frames, and only so many are not answered
//! at a time; what is not decided yet, or refused for the moment, is sent again as the outbox does, until it is posted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::channel::mpsc;
use strife_client::ApiError;
use strife_client::sync::{Next, judge as retries};
use strife_proto::v1::gateway_client::GatewayClient;
use strife_proto::v1::numbered_reply::Result as Answer;
use strife_proto::v1::transfer_reply::State;
use strife_proto::{Refusal, v1};

use crate::drive::{Books, judge, orders_for};
use crate::orders::{Orders, Signed};
use crate::people::People;
use crate::slice::Slice;
use crate::timed::{Timed, micros};
use crate::world::World;

/// Orders in one frame.
const FRAME: usize = 64;
/// Most orders that are signed for each second of a slice; one that has sent them all ends early.
const ORDERS_PER_SECOND_MAX: u128 = 100_000;
/// How often an order may be sent again, on average.
const AGAIN_MAX: usize = 10;

/// Sends orders over one stream for a slice, with so many not answered at most.
///
/// # Errors
/// The stream breaks, an order is not posted, or money was made or lost.
pub(crate) async fn bulk(
    world: &World,
    people: &Arc<People>,
    pool: &mut Orders,
    unanswered_max: usize,
    window: Duration,
) -> anyhow::Result<Slice> {
    let mut orders = pool.take(orders_for(window, ORDERS_PER_SECOND_MAX)?)?;
    let payer = people.person(orders.first().context("no orders")?.payer)?;
    let (sender, frames) = mpsc::unbounded();
    let books = Books::open(world, true).await?;
    let mut client = GatewayClient::new(payer.channel.clone());
    let mut replies = client.submit_many(payer.call(frames)).await?.into_inner();

    let mut stream = Stream::new(&orders, sender, unanswered_max.max(FRAME), window);
    while stream.fill()? {
        let reply = replies.message().await?.context("the stream ended before its answers")?;
        for reply in reply.replies {
            stream.take(reply)?;
        }
    }
    let timed = stream.end();
    ensure!(replies.message().await?.is_none(), "an answer to nothing");
    let (slice, answers) = books.close(world, timed).await?;
    judge(people, &orders, &answers)?;
    pool.put_back(orders.split_off(answers.len()));
    Ok(slice)
}

/// One stream of orders, and what is known of each.
struct Stream<'a> {
    orders: &'a [Signed],
    sender: mpsc::UnboundedSender<v1::SubmitManyRequest>,
    unanswered_max: usize,
    window: Duration,
    began: Instant,
    /// When each order was first sent, by its number.
    sent: Vec<Instant>,
    /// What is to be sent again.
    again: VecDeque<usize>,
    sent_again: usize,
    unanswered: usize,
    latencies_us: Vec<u64>,
    answers: Vec<(usize, v1::TransferReply)>,
}

impl<'a> Stream<'a> {
    fn new(
        orders: &'a [Signed],
        sender: mpsc::UnboundedSender<v1::SubmitManyRequest>,
        unanswered_max: usize,
        window: Duration,
    ) -> Self {
        Self {
            orders,
            sender,
            unanswered_max,
            window,
            began: Instant::now(),
            sent: Vec::with_capacity(orders.len()),
            again: VecDeque::new(),
            sent_again: 0,
            unanswered: 0,
            latencies_us: Vec::with_capacity(orders.len()),
            answers: Vec::with_capacity(orders.len()),
        }
    }

    /// Sends whole frames for as long as there is room and time. `false` once there is nothing left to wait for.
    fn fill(&mut self) -> anyhow::Result<bool> {
        while self.unanswered + FRAME <= self.unanswered_max {
            let mut frame = Vec::with_capacity(FRAME);
            while frame.len() < FRAME
                && let Some(order) = self.next()
            {
                frame.push(order);
            }
            if frame.is_empty() {
                break;
            }
            self.unanswered += frame.len();
            let sent = self.sender.unbounded_send(v1::SubmitManyRequest { orders: frame });
            sent.map_err(|_| anyhow::anyhow!("the stream is closed"))?;
        }
        ensure!(self.sent_again <= AGAIN_MAX * self.orders.len(), "orders are sent again without an end");
        Ok(self.unanswered > 0)
    }

    /// The next order: one that has to be sent again, else a new one while the window lasts.
    fn next(&mut self) -> Option<v1::NumberedSubmit> {
        if let Some(number) = self.again.pop_front() {
            self.sent_again += 1;
            let mut submit = self.orders.get(number)?.request.clone();
            submit.again = true;
            return Some(v1::NumberedSubmit { number: number as u64, submit: Some(submit) });
        }
        if self.began.elapsed() >= self.window {
            return None;
        }
        let number = self.sent.len();
        let submit = self.orders.get(number)?.request.clone();
        self.sent.push(Instant::now());
        Some(v1::NumberedSubmit { number: number as u64, submit: Some(submit) })
    }

    fn take(&mut self, reply: v1::NumberedReply) -> anyhow::Result<()> {
        let number = usize::try_from(reply.number)?;
        let sent = self.sent.get(number).context("an answer to an order that was not sent")?;
        self.unanswered = self.unanswered.checked_sub(1).context("more answers than orders")?;
        match reply.result.context("an answer that says nothing")? {
            Answer::Reply(reply) if matches!(reply.state, Some(State::Ended(_))) => {
                self.latencies_us.push(micros(sent.elapsed()));
                self.answers.push((number, reply));
            }
            // not decided yet
            Answer::Reply(_) => self.again.push_back(number),
            Answer::Refusal(refusal) => {
                let known = Refusal::from_name(&refusal.code).map(ApiError::Refused);
                if known.map(|error| retries(&Err(error))) != Some(Next::Later) {
                    bail!("an order was refused: {} ({})", refusal.code, refusal.sentence);
                }
                self.again.push_back(number);
            }
        }
        Ok(())
    }

    /// Closes the stream: every order that was sent is answered.
    fn end(self) -> Timed<v1::TransferReply> {
        let (window, mut latencies_us) = (self.began.elapsed(), self.latencies_us);
        latencies_us.sort_unstable();
        Timed { window, latencies_us, answers: self.answers }
    }
}
