//! Which credential store answers.

use strife_config::ClientSettings;
use strife_seams::Work;

use super::Finding;
use crate::credentials::{NOWHERE, Vault, session_stores};
use crate::device::Keyring;

pub(super) async fn keyrings(settings: &ClientSettings) -> Vec<Finding> {
    const TOPIC: &str = "keyring";
    // it may wait for its owner: on a thread of its own, with its own limit
    let probed =
        settings.keyring && Work::Threads.blocking(|| Keyring::probe().is_some()).await.unwrap_or(false);
    let files = settings.data_dir.join("keys");
    // a name that nobody keeps anything under
    let vault = Vault::new(session_stores(probed), "doctor", &settings.data_dir, Work::Threads);
    let place = vault.find().await.place.unwrap_or_else(|| NOWHERE.into());
    let says = match probed {
        true => {
            "The OS keyring answers: it keeps the device key, and a session of somebody who stays signed in."
                .into()
        }
        false => format!(
            "The device key is in a file with mode 0600 in {}; a session of somebody who stays signed in: {place}.",
            files.display()
        ),
    };
    vec![match (settings.keyring, probed) {
        (true, false) => Finding::warning(
            TOPIC,
            format!("The OS keyring does not answer. {says}"),
            "Start or unlock a Secret Service (GNOME Keyring, KWallet, KeePassXC), or set keyring = false if this \
             machine has none.",
        ),
        (false, _) => Finding::good(TOPIC, format!("The settings leave the OS keyring out. {says}")),
        (true, true) => Finding::good(TOPIC, says),
    }]
}
