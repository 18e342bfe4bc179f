//! What a demo lets its screen do with the processes of its network. The demo carries it out; the words for it are
//! here, so that the screen, the command line and the demo's socket use the same.

/// What a process does at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs and is reached.
    Runs,
    /// It stands still (SIGSTOP).
    Frozen,
    /// It runs, and none of its connections does.
    CutOff,
    /// It stands still, and none of its connections is there.
    FrozenAndCutOff,
    /// It was killed (-9) by the person.
    Killed,
    /// It has ended by itself, with these words.
    Ended(String),
}

impl ProcessState {
    /// As a person reads it after the name: `is frozen`.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Frozen => "is frozen",
            Self::CutOff => "is cut off",
            Self::FrozenAndCutOff => "is frozen and cut off",
            Self::Killed => "is killed",
            Self::Ended(_) => "has ended by itself",
        }
    }

    /// The state whose words these are; `last_words` are those of a process that has ended.
    pub fn from_words(words: &str, last_words: &str) -> Option<Self> {
        let all = [Self::Runs, Self::Frozen, Self::CutOff, Self::FrozenAndCutOff, Self::Killed];
        let ended = Self::Ended(last_words.to_owned());
        all.into_iter().chain([ended]).find(|state| state.words() == words)
    }

    /// Whether there is a process, be it frozen or cut off.
    pub fn is_up(&self) -> bool {
        !matches!(self, Self::Killed | Self::Ended(_))
    }

    /// What changes something in this state, the usual one first.
    pub fn offers(&self) -> &'static [Control] {
        use Control::{CutOff, Freeze, Kill, Reconnect, Restart, Start, Thaw};
        match self {
            Self::Runs => &[Kill, Freeze, CutOff, Restart],
            Self::Frozen => &[Thaw, Kill, CutOff, Restart],
            Self::CutOff => &[Reconnect, Kill, Freeze, Restart],
            Self::FrozenAndCutOff => &[Thaw, Reconnect, Kill, Restart],
            Self::Killed | Self::Ended(_) => &[Start],
        }
    }
}

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// End it at once (SIGKILL).
    Kill,
    /// Start one that does not run.
    Start,
    /// Stop it in order (SIGTERM) and start it again.
    Restart,
    /// Make it stand still (SIGSTOP).
    Freeze,
    /// Let it go on (SIGCONT).
    Thaw,
    /// End its connections and let in no new ones.
    CutOff,
    /// Let it be reached again.
    Reconnect,
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Kill, Self::Start, Self::Restart, Self::Freeze, Self::Thaw, Self::CutOff, Self::Reconnect];

    /// As it is asked for.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::CutOff => "cut-off",
            Self::Reconnect => "reconnect",
        }
    }

    /// What is asked for by a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|control| control.word() == word)
    }

    /// What is said of the process once it is done: `is frozen`.
    pub fn done(self) -> &'static str {
        match self {
            Self::Kill => "is killed",
            Self::Start => "is started",
            Self::Restart => "is restarted",
            Self::Freeze => "is frozen",
            Self::Thaw => "goes on",
            Self::CutOff => "is cut off",
            Self::Reconnect => "is connected again",
        }
    }
}

/// What the demo lets its screen do with its processes. Every call may block.
pub trait DemoControls: Send + Sync {
    /// Names and states.
    fn processes(&self) -> Vec<(String, ProcessState)>;
    /// Does something to one of them, and returns when it is done.
    ///
    /// # Errors
    /// Why not, for a person.
    fn control(&self, name: &str, what: Control) -> Result<(), String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_states_belong_together() {
        for control in Control::ALL {
            assert_eq!(Control::from_word(control.word()), Some(control));
        }
        assert_eq!(Control::from_word("explode"), None);
        for words in ["runs", "is frozen", "is cut off", "is frozen and cut off", "is killed"] {
            assert_eq!(ProcessState::from_words(words, "").unwrap().words(), words);
        }
        let ended = ProcessState::Ended("no room".into());
        assert_eq!(ProcessState::from_words(ended.words(), "no room"), Some(ended));
    }
}
