//! Refunds on a real journal: within a batch, across evictions and restarts, and what may not be refunded (I15).

use super::*;

const NOT_REFUNDABLE: Word = Word::Outcome(Verdict::Declined(Code::NotRefundable));
const EXCEEDS: Word = Word::Outcome(Verdict::Declined(Code::RefundExceeds));

/// An account at Bank2.
fn theirs() -> AccountNumber {
    AccountNumber::from_body(5_000_000_001).unwrap()
}

impl TestBank {
    /// A payment from Bank2 that stands on an account here.
    fn credited(&mut self, payee: &str, cents: i64) -> Arc<ReceivedOrder> {
        let order = self.order("Bank2", theirs(), payee, cents);
        self.ask(Command::Prepare(self.signed(&order)));
        self.ask(post(&order));
        order
    }

    /// A refund by an account here, to wherever it says.
    fn refund(&mut self, of: &Key, from: AccountNumber, to: &str, cents: i64) -> Arc<ReceivedOrder> {
        let plain = self.order("Bank1", from, to, cents);
        let order = Order { refund_of: Some(of.clone()), ..plain.order().clone() };
        Arc::new(ReceivedOrder::decode(order.encode()).unwrap())
    }

    /// A refund of a payment from Bank2, back to where it came from.
    fn back(&mut self, original: &ReceivedOrder, from: AccountNumber, cents: i64) -> Command {
        let order = self.refund(original.key(), from, &format!("{}@Bank2", theirs()), cents);
        self.decide(&order, Some(Vote::Yes))
    }

    fn says(&mut self, command: Command) -> Word {
        word(&self.ask(command))
    }

    /// The projections catch up, and memory lets go of what they hold.
    fn forget(&mut self) {
        self.projector.catch_up().unwrap();
        self.ask(Command::SignOut([0; 16]));
        assert!(self.writer.shared.read().credits.is_empty(), "memory does not grow with history");
    }
}

fn post(order: &Arc<ReceivedOrder>) -> Command {
    Command::Post { order: order.clone(), said: said(order, "Bank2", POSTED) }
}

#[test]
fn two_refunds_in_one_batch_see_each_other() {
    let (mut bank, ann, _) = TestBank::with_people(1_000, 1_000);
    let original = bank.credited("ann@Bank1", 100);
    let commands = [60, 60, 40, 1].map(|cents| bank.back(&original, ann, cents)).to_vec();
    let words: Vec<Word> = bank.batch(commands).iter().map(word).collect();
    assert_eq!(words, [POSTED, EXCEEDS, POSTED, EXCEEDS]);
    assert_eq!(bank.balance(ann), (1_000, 0));
    bank.check();
}

#[test]
fn what_was_refunded_is_known_after_it_has_left_memory_and_after_a_restart() {
    let (mut bank, ann, _) = TestBank::with_people(1_000, 1_000);
    let original = bank.credited("ann@Bank1", 100);
    bank.forget();
    let half = bank.back(&original, ann, 50);
    let first = bank.ask(half.clone());
    assert_eq!(word(&first), POSTED);
    assert_eq!(bank.writer.shared.read().credits.len(), 1, "until the projections have it");
    // looked up, changed, and not yet in the projections
    let (too_much, ten) = (bank.back(&original, ann, 51), bank.back(&original, ann, 10));
    assert_eq!([bank.says(too_much), bank.says(ten)], [EXCEEDS, POSTED]);
    // one of two refunds is projected
    bank.projector.catch_up().unwrap();
    let more = [bank.back(&original, ann, 20), bank.back(&original, ann, 21)];
    let words: Vec<Word> = bank.batch(more.to_vec()).iter().map(word).collect();
    assert_eq!(words, [POSTED, EXCEEDS]);
    bank.forget();
    let too_much = bank.back(&original, ann, 21);
    assert_eq!(bank.says(too_much), EXCEEDS);
    assert!(bank.writer.shared.read().credits.is_empty(), "a look-up does not keep it there");
    let mut bank = bank.restart();
    let (too_much, rest) = (bank.back(&original, ann, 21), bank.back(&original, ann, 20));
    assert_eq!([bank.says(too_much), bank.says(rest)], [EXCEEDS, POSTED]);
    assert_eq!(bank.ask(half), first, "the same refund again is the same refund");
    assert_eq!(bank.balance(ann), (1_000, 0));
    let before = bank.report();
    assert_eq!(bank.restart().report(), before);
}

#[test]
fn only_what_was_credited_to_this_very_account_goes_back_and_only_to_its_payer() {
    let (mut bank, ann, _) = TestBank::with_people(1_000, 1_000);
    let original = bank.credited("ann@Bank1", 100);
    let (key, back) = (original.key().clone(), format!("{}@Bank2", theirs()));
    // another account of the same person
    let (currency, name) = (Currency::new("EUR").unwrap(), "Savings".to_owned());
    let open = Command::OpenAccount { person: ANN, currency, name, request: [20; 16] };
    let Answer::Account(savings) = bank.ask(open) else { panic!("no account") };
    let stranger = AccountNumber::from_body(5_000_000_002).unwrap();
    let unknown = Key { bank: key.bank.clone(), id: TransferId([99; 16]) };
    for (of, from, to) in [
        (&key, savings, back.as_str()),
        (&key, ann, &format!("{stranger}@Bank2")),
        (&key, ann, &format!("{}@Bank3", theirs())),
        (&key, ann, "somebody@Bank2"),
        (&unknown, ann, &back),
        (&Key { bank: BankName::new("Bank1").unwrap(), ..key.clone() }, ann, &back),
    ] {
        let refund = bank.refund(of, from, to, 1);
        let command = bank.decide(&refund, Some(Vote::Yes));
        assert_eq!(bank.says(command), NOT_REFUNDABLE, "{of} from {from} to {to}");
    }
    // money that went to suspense, and money that is only promised
    let suspended = bank.credited("nobody@Bank1", 100);
    let command = bank.back(&suspended, ann, 1);
    assert_eq!(bank.says(command), NOT_REFUNDABLE);
    let promised = bank.order("Bank2", theirs(), "ann@Bank1", 100);
    bank.ask(Command::Prepare(bank.signed(&promised)));
    let early = bank.back(&promised, ann, 1);
    assert_eq!(bank.says(early.clone()), NOT_REFUNDABLE);
    bank.forget();
    assert_eq!(bank.says(early.clone()), NOT_REFUNDABLE, "not in the projections either");
    bank.ask(post(&promised));
    assert_eq!(bank.says(early), NOT_REFUNDABLE, "an outcome never changes");
    let again = bank.back(&promised, ann, 1);
    assert_eq!(bank.says(again), POSTED, "another order may by now");
    bank.check();
}

#[test]
fn inside_one_bank_the_decision_is_the_credit_and_a_refund_is_not_refunded() {
    let (mut bank, ann, bob) = TestBank::with_people(1_000, 0);
    let device = SigningKey::from_seed(&[4; 32]).unwrap();
    let (public, session) = (*device.public(), [8; 16]);
    bank.ask(Command::SignIn { person: BOB, device: public, session, expires_at_ms: 1_000_000 });
    let original = bank.order("Bank1", ann, "bob@Bank1", 100);
    let by_bob = |order: &Arc<ReceivedOrder>| Command::Decide {
        order: SignedOrder {
            order: order.clone(),
            signature: device.sign(Tag::Order, order.bytes()),
            signer: Some(device.public().id()),
        },
        vote: None,
        too_far: false,
    };
    let to_ann = format!("{ann}@Bank1");
    let early = bank.refund(original.key(), bob, &to_ann, 1);
    assert_eq!(bank.says(by_bob(&early)), NOT_REFUNDABLE);
    // paid and refunded in the same batch
    let refunds = [70, 31].map(|cents| bank.refund(original.key(), bob, &to_ann, cents));
    let commands = vec![bank.decide(&original, None), by_bob(&refunds[0]), by_bob(&refunds[1])];
    let words: Vec<Word> = bank.batch(commands).iter().map(word).collect();
    assert_eq!(words, [POSTED, POSTED, EXCEEDS]);
    for restarts in [false, true] {
        if restarts {
            bank = bank.restart();
        } else {
            bank.forget();
        }
        let too_much = bank.refund(original.key(), bob, &to_ann, 31);
        assert_eq!(bank.says(by_bob(&too_much)), EXCEEDS);
        let refund_of_refund = bank.refund(refunds[0].key(), ann, &format!("{bob}@Bank1"), 1);
        let command = bank.decide(&refund_of_refund, None);
        assert_eq!(bank.says(command), NOT_REFUNDABLE);
    }
    assert_eq!((bank.balance(ann).0, bank.balance(bob).0), (970, 30));
}

#[test]
fn what_is_refundable_does_not_grow_by_another_order_that_was_posted_under_the_same_key() {
    let (mut bank, ann, _) = TestBank::with_people(1_000, 1_000);
    let first = bank.credited("ann@Bank1", 10);
    let forget_between = [true, false];
    for (cents, forget) in [100, 200].into_iter().zip(forget_between) {
        if forget {
            bank.forget();
        }
        let order = Order {
            amount: Money::new(cents, first.order().amount.currency()).unwrap(),
            ..first.order().clone()
        };
        let second = Arc::new(ReceivedOrder::decode(order.encode()).unwrap());
        bank.ask(post(&second));
        let command = bank.back(&first, ann, 11);
        assert_eq!(bank.says(command), EXCEEDS, "its bank has posted two orders under one key");
    }
    let command = bank.back(&first, ann, 10);
    assert_eq!(bank.says(command), POSTED);
    bank.forget();
    let command = bank.back(&first, ann, 1);
    assert_eq!(bank.says(command), EXCEEDS);
}

#[test]
fn a_refund_that_a_full_disk_did_not_take_is_not_counted() {
    let (mut bank, ann, _) = TestBank::with_people(1_000, 1_000);
    let original = bank.credited("ann@Bank1", 100);
    let refund = bank.back(&original, ann, 80);
    bank.full.store(true, Ordering::Relaxed);
    assert_eq!(bank.ask(refund.clone()), Answer::Unavailable);
    bank.full.store(false, Ordering::Relaxed);
    let other = bank.back(&original, ann, 90);
    assert_eq!([bank.says(other), bank.says(refund)], [POSTED, EXCEEDS]);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Refunds of two payments in batches of any size, with evictions and restarts between: what is posted of
        /// each is what a plain sum allows, in the order in which it was asked for (I15, I10).
        #[test]
        fn refunds_post_exactly_as_long_as_they_fit(
            steps in proptest::collection::vec((any::<bool>(), 1i64..70, 0u8..4), 1..30),
        ) {
            let (mut bank, ann, _) = TestBank::with_people(100_000, 1_000);
            let originals = [bank.credited("ann@Bank1", 100), bank.credited("ann@Bank1", 150)];
            let mut left = [100, 150];
            let (mut commands, mut expected) = (Vec::new(), Vec::new());
            for (which, cents, then) in steps {
                let which = usize::from(which);
                commands.push(bank.back(&originals[which], ann, cents));
                let fits = cents <= left[which];
                left[which] -= if fits { cents } else { 0 };
                expected.push(if fits { POSTED } else { EXCEEDS });
                if then > 0 {
                    let words: Vec<Word> = bank.batch(std::mem::take(&mut commands)).iter().map(word).collect();
                    prop_assert_eq!(&words, &expected);
                    expected.clear();
                }
                match then {
                    2 => bank.forget(),
                    3 => bank = bank.restart(),
                    _ => {}
                }
            }
            bank.batch(commands);
            bank.check();
        }
    }
}
