//! The scenarios: each a few orders and the freedom to do one thing thoroughly, so that its states can all be
//! visited.

use strife_commit::BankName;

use crate::goals::{self, Goal};
use crate::state::marks;
use crate::world::{BankIndex, Gateways, Order, World};

/// How far a scenario goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For every run of the tests: seconds.
    Small,
    /// For a thorough look: minutes, in a release build.
    Large,
}

impl Size {
    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Size::Small => "small",
            Size::Large => "large",
        }
    }

    fn only_large(self, mut orders: Vec<Order>, another: Order) -> Vec<Order> {
        orders.extend((self == Size::Large).then_some(another));
        orders
    }

    fn pick<T>(self, small: T, large: T) -> T {
        match self {
            Size::Small => small,
            Size::Large => large,
        }
    }
}

/// A named set of orders and freedoms.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on a command line.
    pub name: &'static str,
    /// What it is about.
    pub description: &'static str,
    /// What its small and its large form have.
    pub bounds: &'static str,
    world: fn(Size) -> World,
}

impl Scenario {
    /// The world of a size.
    pub fn world(&self, size: Size) -> World {
        (self.world)(size)
    }
}

/// Every scenario.
pub fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

const A: BankIndex = 0;
const B: BankIndex = 1;
const C: BankIndex = 2;

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "payment",
        description: "one payment that may be cancelled, may expire and is sent again, through two honest gateways",
        bounds: "large: and a payment inside the payer's bank",
        world: |size| {
            let payment = Order { cancellable: true, expires: true, ..order("the payment", 1, A, B) };
            World {
                orders: size.only_large(vec![payment], order("the payment inside", 2, A, A)),
                gateways: Gateways::Honest(2),
                ..world(
                    2,
                    &[
                        goals::POSTED,
                        goals::ACKNOWLEDGED,
                        goals::EXPIRED,
                        goals::EXPIRED_AFTER_PREPARE,
                        goals::CANCELLED,
                        goals::CANCELLED_AFTER_PREPARE,
                        goals::CANCEL_LOST,
                        goals::TOMBSTONE,
                    ],
                )
            }
        },
    },
    Scenario {
        name: "crashes",
        description: "one payment while banks and two gateways crash and every time-out can strike",
        bounds: "large: and a cancel, and an expiry",
        world: |size| {
            let more = size == Size::Large;
            World {
                orders: vec![Order { cancellable: more, expires: more, ..order("the payment", 1, A, B) }],
                gateways: Gateways::Honest(2),
                marks: marks::LOST_OUTCOME
                    | marks::LOST_PROMISE
                    | marks::LOST_CREDIT
                    | marks::GATEWAY_CRASHED
                    | marks::TIMED_OUT,
                ..world(
                    2,
                    &[
                        goals::LOST_OUTCOME,
                        goals::LOST_PROMISE,
                        goals::LOST_CREDIT,
                        goals::GATEWAY_CRASHED,
                        goals::TIMED_OUT,
                    ],
                )
            }
        },
    },
    Scenario {
        name: "abandoned",
        description: "a client that never asks again: only the resolvers of two gateways bring its order to an end",
        bounds: "a cancel; small: and an expiry; large: and other bytes under the same key",
        world: |size| {
            let payment =
                Order { cancellable: true, expires: size == Size::Small, ..order("the payment", 1, A, B) };
            World {
                orders: size.only_large(vec![payment], order("the other bytes", 1, A, B)),
                gateways: Gateways::Honest(2),
                resubmits: false,
                marks: marks::RESOLVED,
                ..world(2, &[goals::RESOLVED, goals::RESOLVED_DECLINED])
            }
        },
    },
    Scenario {
        name: "same-key",
        description: "other bytes under the same key, to a third bank, through honest gateways",
        bounds: "small: one gateway; large: two",
        world: |size| World {
            orders: vec![order("the payment", 1, A, B), order("the other bytes", 1, A, C)],
            gateways: Gateways::Honest(size.pick(1, 2)),
            ..world(3, &[goals::POSTED, goals::CONFLICT, goals::CONFLICT_RELEASED])
        },
    },
    Scenario {
        name: "funds",
        description: "more orders than money: between banks, inside one bank, and money that comes in meanwhile",
        bounds: "two to a batch; small: three orders; large: four",
        world: |size| {
            let orders = vec![
                order("the payment", 1, A, B),
                order("the payment back", 1, B, A),
                order("the payment inside", 3, A, A),
            ];
            World {
                funds: vec![1, 0],
                orders: size.only_large(orders, order("the second payment", 2, A, B)),
                batch_commands_max: 2,
                ..world(2, &[goals::POSTED, goals::POSTED_INSIDE, goals::POOR, goals::BOTH_POSTED])
            }
        },
    },
    Scenario {
        name: "votes",
        description: "a payee that does not exist, and a cap that takes one of two payments",
        bounds: "large: one may be cancelled, two to a batch",
        world: |size| World {
            cap: 1,
            orders: vec![
                Order { payee_exists: false, ..order("the payment to nobody", 1, A, B) },
                Order { cancellable: size == Size::Large, ..order("the payment", 2, A, B) },
                order("the payment over the cap", 3, A, B),
            ],
            batch_commands_max: size.pick(1, 2),
            ..world(2, &[goals::POSTED, goals::NO_VOTE, goals::CAPPED])
        },
    },
    Scenario {
        name: "same-id",
        description: "the same id at two payer's banks, in opposite directions, and other bytes under one key",
        bounds: "large: two to a batch",
        world: |size| World {
            orders: vec![
                Order { cancellable: true, ..order("the payment there", 1, A, B) },
                order("the payment back", 1, B, A),
                order("the other bytes back", 1, B, A),
            ],
            batch_commands_max: size.pick(1, 2),
            ..world(2, &[goals::SAME_ID, goals::BOTH_POSTED, goals::CANCELLED, goals::CONFLICT_RELEASED])
        },
    },
    Scenario {
        name: "forgery",
        description: "two forged orders under the honest order's key, one to a third bank, and hostile gateways",
        bounds: "large: two to a batch",
        world: |size| World {
            orders: vec![
                Order { cancellable: true, ..order("the payment", 1, A, B) },
                Order { authorised: false, ..order("the forged order", 1, A, B) },
                Order { authorised: false, ..order("the forged order to a third bank", 1, A, C) },
            ],
            batch_commands_max: size.pick(1, 2),
            ..world(3, &[goals::VOID, goals::VOID_RELEASED, goals::POSTED_BESIDE_VOID])
        },
    },
    Scenario {
        name: "hostile",
        description: "gateways that forge, replay and mix up, with other bytes for two banks, cancel and expiry",
        bounds: "small: three orders at three banks; large: and a forged one",
        world: |size| {
            let orders = vec![
                Order { cancellable: true, expires: true, ..order("the payment", 1, A, B) },
                order("the other bytes", 1, A, B),
                order("the other bytes to a third bank", 1, A, C),
            ];
            let forged = Order { authorised: false, ..order("the forged order", 1, A, B) };
            World {
                orders: size.only_large(orders, forged),
                ..world(
                    3,
                    &[
                        goals::POSTED,
                        goals::CANCELLED_AFTER_PREPARE,
                        goals::CANCEL_LOST,
                        goals::EXPIRED,
                        goals::CONFLICT_RELEASED,
                        goals::TOMBSTONE,
                    ],
                )
            }
        },
    },
    Scenario {
        name: "restore-payer",
        description: "the payer's bank is put back to a backup from any earlier moment",
        bounds: "small: one payment, two lists; large: and one to a third bank, one list each; with a cancel",
        world: |size| {
            let payment = Order { cancellable: true, ..order("the payment", 1, A, B) };
            World {
                orders: size.only_large(vec![payment], order("the payment to a third bank", 2, A, C)),
                restores: Some((A, size.pick(2, 1))),
                ..world(
                    size.pick(2, 3),
                    &[
                        goals::SERVING,
                        goals::RESTORED,
                        goals::RECALLED,
                        goals::DISAGREEMENT,
                        goals::POSTED_AFTER_RESTORE,
                    ],
                )
            }
        },
    },
    Scenario {
        name: "restore-key",
        description: "the payer's bank is put back, with other bytes, or a forged order, under the key",
        bounds: "small: a forged order, two lists; large: to a third bank, with a cancel, one list each",
        world: |size| {
            let payment = Order { cancellable: size == Size::Large, ..order("the payment", 1, A, B) };
            let forged = Order { authorised: false, ..order("the forged order", 1, A, size.pick(B, C)) };
            World {
                orders: vec![payment, forged],
                restores: Some((A, size.pick(2, 1))),
                ..world(size.pick(2, 3), &[goals::SERVING, goals::RESTORED, goals::VOID, goals::RECALLED])
            }
        },
    },
    Scenario {
        name: "restore-payee",
        description: "the payee's bank is put back to a backup from any earlier moment; two lists",
        bounds: "small: one payment with a cancel; large: two",
        world: |size| {
            let first = Order { cancellable: true, ..order("the payment", 1, A, B) };
            let second = Order { cancellable: true, ..order("the second payment", 2, A, B) };
            World {
                orders: size.only_large(vec![first], second),
                restores: Some((B, 2)),
                ..world(2, &[goals::SERVING, goals::WITHOUT_PROMISE, goals::POSTED_AFTER_RESTORE])
            }
        },
    },
];

fn world(banks: usize, goals: &'static [Goal]) -> World {
    let names = ["A", "B", "C"].into_iter().take(banks).filter_map(|name| BankName::new(name).ok()).collect();
    World {
        names,
        funds: vec![3; banks],
        cap: 9,
        orders: Vec::new(),
        gateways: Gateways::Hostile,
        resubmits: true,
        batch_commands_max: 1,
        crashes: true,
        restores: None,
        marks: 0,
        goals,
    }
}

fn order(name: &'static str, id: u8, payer_bank: BankIndex, payee_bank: BankIndex) -> Order {
    Order {
        name,
        id,
        payer_bank,
        payee_bank,
        amount: 1,
        authorised: true,
        expires: false,
        payee_exists: true,
        cancellable: false,
    }
}
