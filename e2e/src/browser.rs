//! Somebody at the console: a browser without scripts. It keeps cookies, and sends forms with their token.

use anyhow::{Context as _, bail, ensure};
use reqwest::{RequestBuilder, header, redirect::Policy};

use crate::{deployment::Deployment, wait};

/// A page.
#[derive(Debug)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// Where it leads to; empty where it leads nowhere.
    pub location: String,
    /// Its text.
    pub body: String,
}

/// Somebody at one console.
pub struct Browser {
    console: String,
    http: reqwest::Client,
    cookies: Vec<String>,
    form_token: String,
}

impl Page {
    /// Fails unless the page has this status and these texts.
    ///
    /// # Errors
    /// With what it lacks.
    pub fn expect(&self, status: u16, texts: &[&str]) -> anyhow::Result<&Self> {
        ensure!(self.status == status, "{} instead of {status}: {}", self.status, self.body);
        for text in texts {
            ensure!(self.body.contains(text), "{text} is not in {}", self.body);
        }
        Ok(self)
    }

    /// What stands between two texts.
    ///
    /// # Errors
    /// Where they are not there.
    pub fn between(&self, before: &str, after: &str) -> anyhow::Result<&str> {
        let (_, rest) = self.body.split_once(before).with_context(|| format!("{before} is not in {}", self.body))?;
        rest.split_once(after).map(|(found, _)| found).with_context(|| format!("no {after} after {before}"))
    }
}

impl Browser {
    /// At an instance of the console.
    ///
    /// # Errors
    /// Where there is none.
    pub fn at(deployment: &Deployment, console: usize) -> anyhow::Result<Self> {
        let console = deployment.consoles.get(console).context("no such console")?;
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(wait::PATIENCE).build()?;
        Ok(Self { console: format!("http://{}", console.public), http, cookies: Vec::new(), form_token: String::new() })
    }

    /// The same browser, with its cookies, at another instance.
    ///
    /// # Errors
    /// Where there is none.
    pub fn at_another(&self, deployment: &Deployment, console: usize) -> anyhow::Result<Self> {
        let Self { console, http, .. } = Self::at(deployment, console)?;
        Ok(Self { console, http, cookies: self.cookies.clone(), form_token: self.form_token.clone() })
    }

    /// Signs in.
    ///
    /// # Errors
    /// Where the console does not take name and password.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> anyhow::Result<()> {
        self.take_form_token("/sign-in").await?;
        let page = self.post("/sign-in", &[("name", name), ("password", password)]).await?;
        if page.status != 303 {
            bail!("{name} is not let in: {}", page.body);
        }
        self.take_form_token("/businesses").await
    }

    async fn take_form_token(&mut self, path: &str) -> anyhow::Result<()> {
        let page = self.get(path).await?;
        page.between("name=\"form_token\" value=\"", "\"")?.clone_into(&mut self.form_token);
        Ok(())
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Page> {
        self.send(self.http.get(format!("{}{path}", self.console))).await
    }

    /// Asks for a page until it has a text: what happens elsewhere is there within seconds.
    ///
    /// # Errors
    /// Where it does not become so.
    pub async fn until(&mut self, path: &str, text: &str) -> anyhow::Result<Page> {
        for _ in 0..200 {
            let page = self.get(path).await?;
            if page.body.contains(text) {
                return Ok(page);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        bail!("{text} does not come to {path}: {}", self.get(path).await?.body)
    }

    /// Sends a form.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        let fields: Vec<_> = fields.iter().copied().chain([("form_token", &*self.form_token)]).collect();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(format!("{}{path}", self.console)).body(body);
        self.send(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")).await
    }

    async fn send(&mut self, request: RequestBuilder) -> anyhow::Result<Page> {
        let answer = request.header(header::COOKIE, self.cookies.join("; ")).send().await?;
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (pair, _) = cookie.to_str()?.split_once(';').context("a cookie without attributes")?;
            let (name, _) = pair.split_once('=').context("a cookie without a name")?;
            self.cookies.retain(|known| !known.starts_with(&format!("{name}=")));
            self.cookies.push(pair.to_owned());
        }
        let location = answer.headers().get(header::LOCATION).map_or(Ok(""), |location| location.to_str())?.to_owned();
        Ok(Page { status: answer.status().as_u16(), location, body: answer.text().await? })
    }
}
