use super::*;
use crate::provider::manifests::Manifests;
use crate::provider::plugins::Plugins;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than a burst and its second look take: what has not come by then does not come.
const NOTHING_MORE: Duration = Duration::from_millis(1_200);

fn config_map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{value: {value}}}\n")
}

/// A running provider of manifests.
struct Running {
    updates: mpsc::Receiver<Update>,
    reload: Reload,
}

impl Running {
    async fn start<S: OnDisk>(source: S) -> Self {
        let (out, updates) = mpsc::channel(16);
        let (reload, asks) = reload();
        tokio::spawn(run(source, out, asks));
        let mut running = Self { updates, reload };
        running.update().await;
        running
    }

    async fn manifests(dir: &TempDir) -> Self {
        Self::start(Manifests::new(vec![dir.path().to_owned()])).await
    }

    async fn update(&mut self) -> Update {
        timeout(PATIENCE, self.updates.recv()).await.expect("an update comes").expect("the provider runs")
    }

    /// Exactly one update comes, and it has this many changed objects.
    async fn one_change(&mut self, objects: usize) {
        match self.update().await {
            Update::Objects(update) => {
                assert_eq!(update.changes.len(), objects, "{update:?}");
                assert!(update.problems.is_empty(), "{update:?}");
            }
            Update::Plugins(update) => assert_eq!(update.files.len(), objects, "{update:?}"),
        }
        self.nothing().await;
    }

    async fn nothing(&mut self) {
        let more = timeout(NOTHING_MORE, self.updates.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

fn test(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

/// What the kubelet does to a mounted ConfigMap.
fn swap(dir: &Path, version: &str, files: &[(&str, &str)]) {
    let old = fs::read_link(dir.join("..data")).ok();
    fs::create_dir(dir.join(version)).unwrap();
    for (name, text) in files {
        fs::write(dir.join(version).join(name), text).unwrap();
    }
    symlink(version, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    for (name, _) in files {
        let link = dir.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !files.iter().any(|(file, _)| *file == name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old)).unwrap();
    }
}

#[test]
fn every_style_of_saving_is_one_change() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, config_map("zero")).unwrap();
        let mut running = Running::manifests(&dir).await;

        // Atomic: a temporary file renamed over the old one.
        let temporary = dir.path().join(".a.yaml.tmp");
        fs::write(&temporary, config_map("one")).unwrap();
        fs::rename(&temporary, &file).unwrap();
        running.one_change(1).await;

        // vim: a probe, the old one renamed to a backup, a new one written, the backup deleted.
        let (probe, backup) = (dir.path().join("4913"), dir.path().join("a.yaml~"));
        fs::write(&probe, "").unwrap();
        fs::remove_file(&probe).unwrap();
        fs::rename(&file, &backup).unwrap();
        fs::write(&file, config_map("two")).unwrap();
        fs::remove_file(&backup).unwrap();
        running.one_change(1).await;

        // nano: truncated and written in place, in pieces.
        let mut open = fs::File::create(&file).unwrap();
        for piece in config_map("three").as_bytes().chunks(20) {
            open.write_all(piece).unwrap();
        }
        drop(open);
        running.one_change(1).await;

        // Written again with the same text.
        fs::write(&file, config_map("three")).unwrap();
        running.nothing().await;
    });
}

#[test]
fn a_folder_said_relative_to_where_we_are_is_watched_too() {
    test(async {
        let here = std::env::current_dir().unwrap();
        let dir = tempfile::tempdir_in(&here).unwrap();
        let relative = dir.path().strip_prefix(&here).unwrap().to_owned();
        let file = relative.join("a.yaml");
        fs::write(&file, config_map("zero")).unwrap();
        let mut running = Running::start(Manifests::new(vec![relative])).await;
        fs::write(&file, config_map("one")).unwrap();
        running.one_change(1).await;
    });
}

#[test]
fn a_slow_save_is_one_change() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, config_map("zero")).unwrap();
        let mut running = Running::manifests(&dir).await;
        let mut open = fs::File::create(&file).unwrap();
        sleep(QUIET * 3).await;
        open.write_all(config_map("one").as_bytes()).unwrap();
        drop(open);
        running.one_change(1).await;
    });
}

#[test]
fn a_swap_of_the_kubelet_is_one_change_of_all_its_files() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        let b = |value: &str| config_map(value).replace("name: a", "name: b");
        swap(dir.path(), "..1", &[("a.yaml", &config_map("zero")), ("b.yaml", &b("zero"))]);
        let mut running = Running::manifests(&dir).await;
        swap(dir.path(), "..2", &[("a.yaml", &config_map("one")), ("b.yaml", &b("one"))]);
        running.one_change(2).await;
        // A key goes, another comes.
        swap(dir.path(), "..3", &[("b.yaml", &b("one")), ("c.yaml", &config_map("two"))]);
        running.one_change(1).await;
        // The same again.
        swap(dir.path(), "..4", &[("b.yaml", &b("one")), ("c.yaml", &config_map("two"))]);
        running.nothing().await;
    });
}

#[test]
fn one_file_of_a_mounted_config_map_may_be_named_alone() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        swap(dir.path(), "..1", &[("a.yaml", &config_map("zero"))]);
        let mut running = Running::start(Manifests::new(vec![dir.path().join("a.yaml")])).await;
        swap(dir.path(), "..2", &[("a.yaml", &config_map("one"))]);
        running.one_change(1).await;
    });
}

#[test]
fn new_folders_and_links_to_folders_are_followed() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        for version in ["one", "two"] {
            fs::create_dir_all(dir.path().join(version)).unwrap();
            fs::write(dir.path().join(version).join("a.yaml"), config_map(version)).unwrap();
        }
        let (link, new_link) = (dir.path().join("link"), dir.path().join("new"));
        symlink("one", &link).unwrap();
        let mut running = Running::start(Manifests::new(vec![link.clone()])).await;
        // git-sync: the root itself is a link that is put in place atomically.
        symlink("two", &new_link).unwrap();
        fs::rename(&new_link, &link).unwrap();
        running.one_change(1).await;
        // And what is behind it now is watched.
        fs::create_dir(dir.path().join("two/sub")).unwrap();
        let other = config_map("x").replace("name: a", "name: other");
        fs::write(dir.path().join("two/sub/b.yaml"), &other).unwrap();
        running.one_change(1).await;
    });
}

#[test]
fn a_root_that_comes_later_is_read_then() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        let (out, updates) = mpsc::channel(16);
        let (reload, asks) = reload();
        let root = dir.path().join("deep/later");
        tokio::spawn(run(Manifests::new(vec![root.clone()]), out, asks));
        let mut running = Running { updates, reload };
        let Update::Objects(update) = running.update().await else { panic!() };
        assert!(update.problems[0].text.contains("there is no such file or folder"));
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("a.yaml"), config_map("one")).unwrap();
        // The folder may be seen before its file.
        loop {
            let Update::Objects(update) = running.update().await else { panic!() };
            if !update.changes.is_empty() {
                break;
            }
        }
    });
}

#[test]
fn a_reload_returns_when_its_change_has_been_handed_on() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), config_map("zero")).unwrap();
        let mut running = Running::manifests(&dir).await;
        fs::write(dir.path().join("a.yaml"), config_map("one")).unwrap();
        assert!(timeout(PATIENCE, running.reload.reread()).await.unwrap());
        assert!(matches!(running.updates.try_recv(), Ok(Update::Objects(_))));
        running.nothing().await;
        let reload = running.reload.clone();
        drop(running);
        // Nobody listens any more.
        assert!(!timeout(PATIENCE, reload.reread()).await.unwrap());
    });
}

#[test]
fn plugins_come_as_one_set() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.lua"), "return 1").unwrap();
        fs::write(dir.path().join("a.txt"), "no").unwrap();
        let mut running = Running::start(Plugins::new(vec![dir.path().to_owned()])).await;
        fs::write(dir.path().join("b.lua"), "return 2").unwrap();
        running.one_change(2).await;
        fs::remove_file(dir.path().join("a.lua")).unwrap();
        running.one_change(1).await;
        // Too large: what was read before stays.
        fs::write(dir.path().join("b.lua"), vec![b'-'; 300 << 10]).unwrap();
        let Update::Plugins(update) = running.update().await else { panic!() };
        assert_eq!(&*update.files[0].text, "return 2");
        assert!(update.problems[0].text.ends_with("the text read before stays in force"));
    });
}

#[test]
fn what_cannot_be_watched_is_looked_at_until_it_can() {
    test(async {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(vec![dir.path().to_owned()]);
        assert_eq!(watch.problem(), None);
        watch.inbox.put(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), Touched::rescan());
        assert!(watch.problem().unwrap().text.starts_with("changes cannot be watched ("));
        // The next look tries to watch again.
        assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), Touched::rescan());
        assert_eq!(watch.problem(), None);
    });
}

#[test]
fn a_flood_of_paths_becomes_one_look_at_everything() {
    let inbox = Inbox::new(vec!["folder".into()]);
    for n in 0..=MAX_PATHS {
        let path = PathBuf::from(format!("folder/{n}.yaml"));
        inbox.put(Ok(notify::Event::new(EventKind::Any).add_path(path)));
    }
    assert_eq!(inbox.take().touched, Touched::rescan());
    inbox.put(Ok(notify::Event::new(EventKind::Any).add_path("neighbour".into())));
    inbox.put(Ok(notify::Event::new(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
    assert!(inbox.is_empty());
    let overflow = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
    inbox.put(Ok(overflow));
    assert_eq!(inbox.take().touched, Touched::rescan());
}
