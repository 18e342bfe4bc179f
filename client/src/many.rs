//! Many orders over one stream. Each is answered as if it had been submitted alone; what the stream did not answer is
//! unknown, and is asked for again like any other.

use strife_proto::domain::ReceivedOrder;
use strife_proto::v1::numbered_reply::Result as Answer;
use strife_proto::{Refusal, v1};

use crate::api::{Api, ApiError, Known, Session, sends};

/// Orders in one message: well below what a gateway takes, also with long memos.
const ORDERS_PER_MESSAGE: usize = 32;

/// An order that is to be submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The order.
    pub order: ReceivedOrder,
    /// Its maker's.
    pub signature: v1::Signature,
    /// Its bytes may have left this machine before.
    pub again: bool,
}

impl Api {
    /// Submits orders over one stream, and tells each answer as it comes, with the order's place among them. Those that
    /// were not answered when the stream broke, or for as long as one call may take, are told as unknown in the end.
    pub async fn submit_many(
        &self,
        session: &Session,
        orders: &[Submission],
        mut hears: impl FnMut(usize, Result<Known, ApiError>),
    ) {
        let mut answered = vec![false; orders.len()];
        let broken = self.stream(session, orders, &mut answered, &mut hears).await;
        let why = match broken {
            Ok(()) => ApiError::Unknown("the stream ended".to_owned()),
            Err(error) => error,
        };
        for (number, _) in answered.iter().enumerate().filter(|(_, answered)| !**answered) {
            hears(number, Err(why.clone()));
        }
    }

    async fn stream(
        &self,
        session: &Session,
        orders: &[Submission],
        answered: &mut [bool],
        hears: &mut impl FnMut(usize, Result<Known, ApiError>),
    ) -> Result<(), ApiError> {
        let numbered: Vec<v1::NumberedSubmit> = (0..).zip(orders).map(numbered).collect();
        let message = |some: &[v1::NumberedSubmit]| v1::SubmitManyRequest { orders: some.to_vec() };
        let messages: Vec<_> = numbered.chunks(ORDERS_PER_MESSAGE).map(message).collect();
        let mut request = self.request(tokio_stream::iter(messages), Some(session))?;
        // it lasts as long as the orders need
        request.metadata_mut().remove("grpc-timeout");
        let mut replies = sends("submit_many", self.gateway().submit_many(request)).await?.into_inner();
        let mut left = orders.len();
        while left > 0 {
            let next = tokio::time::timeout(self.call_max(), replies.message()).await;
            let next = next.map_err(|_| ApiError::Unknown("no answer in time".to_owned()))?;
            // why a stream ends says nothing about the orders that it has taken
            let next = next.map_err(|status| ApiError::Unknown(status.message().to_owned()))?;
            let Some(some) = next else { break };
            for v1::NumberedReply { number, result } in some.replies {
                let place = usize::try_from(number).unwrap_or(usize::MAX);
                // an answer to what was never asked, or a second one, is left alone
                let (Some(order), Some(answered @ false)) = (orders.get(place), answered.get_mut(place))
                else {
                    continue;
                };
                *answered = true;
                left -= 1;
                hears(place, self.judge_answer(&order.order, result));
            }
        }
        Ok(())
    }

    fn judge_answer(&self, order: &ReceivedOrder, answer: Option<Answer>) -> Result<Known, ApiError> {
        match answer {
            Some(Answer::Reply(reply)) => self.judge(order, reply),
            Some(Answer::Refusal(refused)) => {
                Err(Refusal::from_name(&refused.code).unwrap_or(Refusal::OutOfPlace).into())
            }
            None => Ok(Known::Pending),
        }
    }
}

fn numbered((number, submission): (u64, &Submission)) -> v1::NumberedSubmit {
    let Submission { order, signature, again } = submission;
    let signed = v1::SignedOrder { order: order.bytes().clone(), signature: Some(signature.clone()) };
    v1::NumberedSubmit { number, submit: Some(v1::SubmitRequest { order: Some(signed), again: *again }) }
}
