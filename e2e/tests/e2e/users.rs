//! Who signs in to the console, kept over a real Kafka: no worker minds what it does not need.

use std::fs;

use anyhow::{bail, ensure};
use e2e::{deployment::Deployment, event::purchase, merchant::Merchant};
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

/// Put, listed, signed out, removed; and the workers, which read all of it, report nothing and go on.
pub(crate) async fn put_list_and_remove(deployment: &Deployment) -> anyhow::Result<()> {
    let (operator, merchant) = (&deployment.operator, Merchant::open(deployment).await?);
    let business = merchant.business.as_str();
    // Other tests have users of their own.
    let name = format!("ada-{}", &business[24..]);
    let put = ["user", "put", &name, "--role", "merchant", "--business", business];
    let said = operator.run_reading(&format!("{PASSWORD}\n"), &put).await?;
    ensure!(said.code == 0, "{said:?}");
    let user = listed(deployment, &name).await?;
    ensure!(user["role"] == "merchant" && user["businesses"] == json!([business]), "{user}");
    let shown = operator.run(&["user", "list"]).await?;
    for hidden in [PASSWORD, "argon2", "$m="] {
        ensure!(!format!("{said:?}{shown:?}").contains(hidden), "{hidden} is shown");
    }

    let ended = operator.one(&["user", "end-sessions", &name]).await?;
    ensure!(ended["sessions_from"] != user["sessions_from"], "{ended} after {user}");
    operator.one(&["user", "remove", &name]).await?;
    ensure!(listed(deployment, &name).await.is_err(), "it is still there");
    let again = operator.run(&["user", "remove", &name]).await?;
    ensure!(again.code == 65 && again.stderr.contains("there is no user"), "{again:?}");

    deployment.a_change_takes_effect().await;
    merchant.call(&purchase("ORD-1")).await?.expect(200, "forwarded")?;
    for worker in deployment.ingests.iter().chain(&deployment.forwarders) {
        let log = fs::read_to_string(worker.log())?;
        ensure!(!log.contains(&name) && !log.contains("argon2"), "{} speaks of users", worker.log().display());
    }
    Ok(())
}

async fn listed(deployment: &Deployment, name: &str) -> anyhow::Result<serde_json::Value> {
    let users = deployment.operator.list(&["user", "list"]).await?;
    let Some(user) = users.into_iter().find(|user| user["name"] == name) else { bail!("{name} is not listed") };
    Ok(user)
}
