//! The secret key is rotated under calls: two keys live at once, tokens are encrypted anew, and the old key goes. And a
//! token opens for its own business only.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::{Deployment, random_key},
    event::{fresh, purchase},
    merchant::Merchant,
    queue,
};
use rdkafka::Message as _;
use schemas::{Business, Message as _};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};
use uuid::Uuid;

/// From the old key to the new one, with calls all the while; not one is rejected.
pub(crate) async fn the_secret_key(deployment: &mut Deployment) -> anyhow::Result<()> {
    let old = deployment.setting("CAPI_SECRET_KEY").context("no key")?.to_owned();
    let new = random_key()?;
    let merchants = [Merchant::open(deployment).await?, Merchant::open(deployment).await?];
    let both = [("CAPI_SECRET_KEY", new.as_str()), ("CAPI_SECRET_KEY_PREVIOUS", old.as_str())];
    let calls: Vec<_> = merchants.iter().map(|merchant| Calls::begin(merchant.clone())).collect();

    restart_forwarder(deployment, &both).await?;
    forwarded(&merchants, "two keys").await?;
    let reencrypted =
        |anew: usize, already: usize| json!({"reencrypted": anew, "already_new": already, "unreadable": 0});
    ensure!(reencrypt(deployment, &both).await? == (0, reencrypted(2, 0)));
    ensure!(reencrypt(deployment, &both).await? == (0, reencrypted(0, 2)));
    restart_forwarder(deployment, &[both[0], ("CAPI_SECRET_KEY_PREVIOUS", "")]).await?;
    forwarded(&merchants, "the new key").await?;

    for calls in calls {
        for call in calls.end().await? {
            let row = deployment.analyst.final_row(call).await?;
            ensure!(row["conversion_status"] == "forwarded", "{row}");
        }
    }
    // The old key opens nothing any more, and what is sealed with it waits for a channel that can be read.
    let (code, counted) = reencrypt(deployment, &[("CAPI_SECRET_KEY", &old)]).await?;
    ensure!(code == 65 && counted["unreadable"] == 2, "{code}: {counted}");
    let late = Merchant::open(deployment).await?;
    let answer = late.prefer("wait=1", &purchase("ORD-late")).await?;
    answer.expect(200, "pending")?;
    ensure!(deployment.sandbox.requests(&late.dataset).await? == 0, "it was sent all the same");
    reencrypt(deployment, &both).await?;
    let row = deployment.analyst.final_row(answer.call).await?;
    ensure!(row["conversion_status"] == "forwarded", "{row}");
    Ok(())
}

async fn restart_forwarder(deployment: &mut Deployment, settings: &[(&str, &str)]) -> anyhow::Result<()> {
    let forwarder = deployment.forwarders.first_mut().context("no forwarder")?;
    let status = forwarder.drain().await?;
    ensure!(status.success(), "{status}");
    for (name, value) in settings {
        forwarder.set(name, value);
    }
    forwarder.restart().await
}

async fn forwarded(merchants: &[Merchant], when: &str) -> anyhow::Result<()> {
    for merchant in merchants {
        merchant.call(&purchase(when)).await?.expect(200, "forwarded")?;
    }
    Ok(())
}

async fn reencrypt(deployment: &Deployment, settings: &[(&str, &str)]) -> anyhow::Result<(i32, Value)> {
    let said = deployment.operator.run_with(settings, &["channel", "reencrypt", "--json"]).await?;
    Ok((said.code, serde_json::from_str(&said.stdout).context(said.stderr)?))
}

/// Calls of one merchant, one after the other, until they are to end.
struct Calls(JoinHandle<anyhow::Result<()>>, tokio::sync::mpsc::UnboundedReceiver<Uuid>);

impl Calls {
    fn begin(merchant: Merchant) -> Self {
        let (send, made) = tokio::sync::mpsc::unbounded_channel();
        Self(
            tokio::spawn(async move {
                while !send.is_closed() {
                    let answer = merchant.call(&purchase(&fresh("ORD"))).await?;
                    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
                    // Told in vain, it was the last one.
                    let _ = send.send(answer.call);
                    sleep(Duration::from_millis(50)).await;
                }
                Ok(())
            }),
            made,
        )
    }

    /// The calls that were made.
    async fn end(mut self) -> anyhow::Result<Vec<Uuid>> {
        self.1.close();
        self.0.await??;
        let mut calls = Vec::new();
        while let Some(call) = self.1.recv().await {
            calls.push(call);
        }
        ensure!(!calls.is_empty(), "no call was made");
        Ok(calls)
    }
}

/// The encrypted token of one business, put under another by somebody who can write to the topic: it is not used.
pub(crate) async fn a_token_of_another_business(deployment: &Deployment) -> anyhow::Result<()> {
    let (victim, thief) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    let stolen = last_value(deployment, &victim.business)?.channel.context("no channel")?.access_token;
    let mut forged = last_value(deployment, &thief.business)?;
    forged.channel.as_mut().context("no channel")?.access_token = stolen;
    let directory = deployment.topic("directory");
    queue::write(&deployment.brokers, &directory, 0, thief.business.as_bytes(), &forged.encode()).await?;
    deployment.a_change_takes_effect().await;

    let answer = thief.prefer("wait=1", &purchase("ORD-1")).await?;
    answer.expect(200, "pending")?;
    ensure!(deployment.sandbox.requests(&thief.dataset).await? == 0, "the token was used");
    let said = deployment.operator.run(&["channel", "reencrypt", &thief.business]).await?;
    ensure!(said.code == 65 && said.stderr.contains("belongs to another business"), "{said:?}");

    deployment.operator.put_channel(&thief.business, &thief.waba, &thief.dataset, &[]).await?;
    let row = deployment.analyst.final_row(answer.call).await?;
    ensure!(row["conversion_status"] == "forwarded", "{row}");
    Ok(())
}

/// The last value of a business in the directory's topic.
fn last_value(deployment: &Deployment, business: &str) -> anyhow::Result<Business> {
    let messages = queue::messages(&deployment.brokers, &deployment.topic("directory"))?;
    let of_business = messages.iter().rfind(|message| message.key() == Some(business.as_bytes()));
    let value = of_business.and_then(|message| message.payload()).context("the business is not in the topic")?;
    Ok(Business::decode(value)?)
}
