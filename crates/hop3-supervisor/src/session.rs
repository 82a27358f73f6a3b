// SPDX-License-Identifier: Apache-2.0
//! Answers one connection: who asks, what is asked, one line per request in `dispatch`.

use crate::connection::Connection;
use crate::keeper::{self, Instance};
use crate::line::sanitise;
use crate::oneoff;
use crate::place;
use crate::problem::{bad_request, logs_failed, user_required};
use crate::protocol::{Answer, LogRequest, Request, Spec, Status};
use crate::record::Record;
use crate::role::World;
use hop3_core::Problem;
use hop3_core::driver::LogLine;
use hop3_core::sandbox::Job;
use hop3_core::workload::InstanceState;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::broadcast::error::RecvError;

/// A follower that closed is noticed at the latest then.
const HEARTBEAT: Duration = Duration::from_secs(1);

const STOPPING_PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn serve(world: Rc<World>, stream: UnixStream) {
    let mut connection = Connection::new(stream);
    match connection.peer_uid() {
        Ok(uid) if is_allowed(&world, uid) => {}
        _ => return,
    }
    let outcome = match connection.receive::<Request>().await {
        Ok(Some(request)) => dispatch(&world, &mut connection, request).await,
        Ok(None) => return,
        Err(error) => connection.send(&Answer::Problem(bad_request(error))).await,
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a client went away");
    }
}

fn is_allowed(world: &World, uid: u32) -> bool {
    uid == 0 || uid == world.options.allowed_uid || uid == rustix::process::geteuid().as_raw()
}

async fn dispatch(world: &Rc<World>, connection: &mut Connection, request: Request) -> io::Result<()> {
    let answer = match request {
        Request::Hello => Ok(hello(world)),
        Request::Start { specs } => start(world, specs).await,
        Request::Stop { ids } => stop(world, &ids).await,
        Request::Restart { id } => restart(world, &id).await,
        Request::Freeze { id } => freeze(world, &id).await,
        Request::Thaw { ids } => thaw(world, &ids).await,
        Request::Status { group } => Ok(Answer::Instances(status(world, group.as_deref()))),
        Request::Logs(request) => return logs(world, connection, request).await,
        Request::Follow { group } => return follow(world, connection, &group).await,
        Request::Note { group, name, text } => note(world, &group, &name, &text),
        Request::Forget { group } => forget(world, &group).await,
        Request::Run { job, stdin } => return run(world, connection, job, stdin).await,
        Request::Give { directory, user } => give(world, directory, user).await,
        Request::Remove { directory } => remove(world, directory).await,
        Request::Events => return events(world, connection).await,
        Request::Shutdown => return shutdown(world, connection).await,
    };
    connection.send(&answer.unwrap_or_else(Answer::Problem)).await
}

fn hello(world: &World) -> Answer {
    Answer::Hello { version: env!("CARGO_PKG_VERSION").to_owned(), privileged: world.is_privileged }
}

fn instance(world: &World, id: &str) -> Option<Rc<Instance>> {
    world.instances.borrow().get(id).cloned()
}

async fn start(world: &Rc<World>, specs: Vec<Spec>) -> Result<Answer, Problem> {
    for spec in &specs {
        check_word(&spec.id)?;
        check_word(&spec.group)?;
        check_word(&spec.name)?;
        check_job(world, &spec.job)?;
    }
    let starts: Vec<_> =
        specs.into_iter().map(|spec| tokio::task::spawn_local(start_one(world.clone(), spec))).collect();
    let mut problem = None;
    for start in starts {
        let outcome = start.await.unwrap_or_else(|panic| Err(bad_request(panic)));
        problem = problem.or(outcome.err());
    }
    problem.map_or(Ok(Answer::Done), Err)
}

async fn start_one(world: Rc<World>, spec: Spec) -> Result<(), Problem> {
    // One that is being stopped is not what was asked for: the new one follows it.
    loop {
        let gone = world.gone.notified();
        match instance(&world, &spec.id) {
            None => break,
            Some(instance) if instance.status().state == InstanceState::Stopping => {
                // When it was only being restarted it is not gone but back.
                let _ = tokio::time::timeout(STOPPING_PAUSE, gone).await;
            }
            Some(_) => return Ok(()),
        }
    }
    keeper::begin(&world, Record::new(spec)).await
}

async fn stop(world: &Rc<World>, ids: &[String]) -> Result<Answer, Problem> {
    let stops: Vec<_> = ids
        .iter()
        .filter_map(|id| instance(world, id))
        .map(|instance| tokio::task::spawn_local(async move { instance.stop().await }))
        .collect();
    for stop in stops {
        let _ = stop.await;
    }
    Ok(Answer::Done)
}

async fn restart(world: &World, id: &str) -> Result<Answer, Problem> {
    let instance = instance(world, id).ok_or_else(|| crate::problem::unknown_instance(id))?;
    instance.restart().await.map(|()| Answer::Done)
}

async fn freeze(world: &World, id: &str) -> Result<Answer, Problem> {
    let instance = instance(world, id).ok_or_else(|| crate::problem::unknown_instance(id))?;
    instance.freeze().await.map(|()| Answer::Done)
}

async fn thaw(world: &World, ids: &[String]) -> Result<Answer, Problem> {
    for instance in ids.iter().filter_map(|id| instance(world, id)) {
        instance.thaw().await;
    }
    Ok(Answer::Done)
}

fn status(world: &World, group: Option<&str>) -> Vec<Status> {
    let instances = world.instances.borrow();
    let all = instances.values().map(|instance| instance.status());
    all.filter(|status| group.is_none_or(|group| status.group == group)).collect()
}

async fn logs(world: &World, connection: &mut Connection, request: LogRequest) -> io::Result<()> {
    let lines = match check_word(&request.group) {
        Ok(()) => world.logs.read(request).await.map_err(logs_failed),
        Err(problem) => Err(problem),
    };
    match lines {
        Ok(lines) => {
            for line in lines {
                connection.send(&Answer::Line(line)).await?;
            }
            connection.send(&Answer::Done).await
        }
        Err(problem) => connection.send(&Answer::Problem(problem)).await,
    }
}

async fn follow(world: &World, connection: &mut Connection, group: &str) -> io::Result<()> {
    let mut lines = world.logs.follow(group);
    // From here on nothing is missed.
    connection.send(&Answer::Started).await?;
    loop {
        let line = match tokio::time::timeout(HEARTBEAT, lines.recv()).await {
            Ok(Ok(line)) => line,
            Ok(Err(RecvError::Lagged(missed))) => platform_line(format!("{missed} lines not shown")),
            Ok(Err(RecvError::Closed)) => return connection.send(&Answer::Done).await,
            Err(_elapsed) => platform_line(String::new()),
        };
        connection.send(&Answer::Line(line)).await?;
    }
}

fn platform_line(text: String) -> LogLine {
    LogLine { time_ms: crate::log::now_ms(), instance: "hop3".to_owned(), text }
}

fn note(world: &World, group: &str, name: &str, text: &str) -> Result<Answer, Problem> {
    check_word(group)?;
    check_word(name)?;
    let lines = text.lines().map(|line| sanitise(line.as_bytes())).collect();
    world.logs.append(group, &world.logs.open(group), name, lines);
    Ok(Answer::Done)
}

async fn forget(world: &World, group: &str) -> Result<Answer, Problem> {
    check_word(group)?;
    let root = world.options.layout.root().to_owned();
    let directory = world.options.layout.logs().join(group);
    let removed = in_background(move || place::remove(&root, &directory)).await;
    // What is written from now on begins a new one.
    world.logs.close(group);
    removed
}

async fn run(world: &Rc<World>, connection: &mut Connection, job: Job, stdin: bool) -> io::Result<()> {
    let mut descriptors = std::mem::take(&mut connection.descriptors).into_iter();
    match (check_job(world, &job), descriptors.next()) {
        (Err(problem), _) => connection.send(&Answer::Problem(problem)).await,
        (Ok(()), None) => connection.send(&Answer::Problem(bad_request("no descriptor came with it"))).await,
        (Ok(()), Some(stdout)) => {
            let streams = oneoff::Streams { stdout, stdin, errors: descriptors.next() };
            oneoff::run(world, connection, &job, streams).await
        }
    }
}

async fn give(world: &World, directory: PathBuf, user: Option<u32>) -> Result<Answer, Problem> {
    let root = world.options.layout.root().to_owned();
    let user = user.filter(|_| world.is_privileged);
    if user == Some(0) && world.options.allowed_uid != 0 {
        return Err(user_required());
    }
    let owner = world.is_privileged.then_some(world.options.allowed_uid);
    in_background(move || place::give(&root, &directory, place::Owners { user, between: owner })).await
}

async fn remove(world: &World, directory: PathBuf) -> Result<Answer, Problem> {
    let root = world.options.layout.root().to_owned();
    in_background(move || place::remove(&root, &directory)).await
}

/// Large trees take their time; everything else goes on meanwhile.
async fn in_background(
    work: impl FnOnce() -> Result<(), Problem> + Send + 'static,
) -> Result<Answer, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(bad_request(panic))).map(|()| Answer::Done)
}

async fn events(world: &World, connection: &mut Connection) -> io::Result<()> {
    let mut changes = world.changes.subscribe();
    connection.send(&Answer::Started).await?;
    loop {
        let answer = match tokio::time::timeout(HEARTBEAT, changes.recv()).await {
            Ok(Ok(change)) => Answer::Change(change),
            Ok(Err(RecvError::Closed)) => return Ok(()),
            // After a gap only the status tells what is; a heartbeat invites to look.
            Ok(Err(RecvError::Lagged(_))) | Err(_) => Answer::Started,
        };
        connection.send(&answer).await?;
    }
}

async fn shutdown(world: &Rc<World>, connection: &mut Connection) -> io::Result<()> {
    let ids: Vec<String> = world.instances.borrow().keys().cloned().collect();
    let _ = stop(world, &ids).await;
    let sent = connection.send(&Answer::Done).await;
    world.end.notify_one();
    sent
}

/// Ids become file names, names become words of a log line.
fn check_word(word: &str) -> Result<(), Problem> {
    let is_good = (1..=128).contains(&word.len())
        && !word.starts_with(['.', '-'])
        && word.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'));
    if is_good { Ok(()) } else { Err(bad_request(format!("{word:?} is no id"))) }
}

/// Whoever may connect shall not become root through us.
pub(crate) fn check_job(world: &World, job: &Job) -> Result<(), Problem> {
    let would_be_root = world.is_privileged && matches!(job.sandbox.user, None | Some(0));
    if would_be_root && world.options.allowed_uid != 0 { Err(user_required()) } else { Ok(()) }
}
