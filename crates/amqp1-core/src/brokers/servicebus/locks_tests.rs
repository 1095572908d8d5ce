use super::*;
use crate::wire::message::section;
use crate::wire::write;

fn locked(left: i64) -> Bytes {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
    write::map(&mut out, |out| {
        write::symbol(out, LOCKED_UNTIL);
        write::timestamp(out, now_millis() + left);
        2
    });
    out.into()
}

fn link(longest: u64) -> LinkLocks {
    let locks = Arc::new(Locks::default());
    LinkLocks::new(&locks, "orders", "link-1", Duration::from_secs(longest))
}

#[test]
fn a_lock_is_due_at_half_of_its_time() {
    let link = link(300);
    link.arrived(&[1; 16], &locked(60_000));
    let now = Instant::now();
    let (due, next) = link.locks.due(now);
    assert!(due.is_empty());
    let next = next.map(|next| next - now);
    assert!(next.is_some_and(|in_| in_ > Duration::from_secs(28) && in_ < Duration::from_secs(31)));
    let (due, _) = link.locks.due(now + Duration::from_secs(31));
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].what, DueKind::Messages(vec![[1; 16]]));
}

#[test]
fn not_beyond_its_longest_time_and_not_when_settled() {
    let short = link(10);
    short.arrived(&[1; 16], &locked(60_000));
    let later = Instant::now() + Duration::from_secs(31);
    assert_eq!(short.locks.due(later), (vec![], None));
    let missed = link(1);
    missed.arrived(&[1; 16], &locked(1_000));
    assert_eq!(missed.locks.due(later), (vec![], None), "it is over");
    let never = link(0);
    never.arrived(&[1; 16], &locked(1_000));
    assert_eq!(never.locks.due(Instant::now()).0, vec![]);
    let settled = link(300);
    settled.arrived(&[1; 16], &locked(60_000));
    settled.forget(&[1; 16]);
    assert_eq!(settled.locks.due(later), (vec![], None));
}

#[test]
fn a_failed_renewal_pauses_before_the_next() {
    let link = link(300);
    link.arrived(&[1; 16], &locked(2_000));
    let now = Instant::now() + Duration::from_secs(1);
    let (due, _) = link.locks.due(now);
    assert_eq!(due.len(), 1);
    let failed_at = Instant::now();
    link.locks.renewed("orders", &due[0].what, Renewal::Failed);
    let (due, next) = link.locks.due(failed_at);
    assert_eq!(
        due,
        vec![],
        "it would be renewed again and again without a pause"
    );
    assert!(next.is_some_and(|next| next > failed_at));
    // Beside one that is due, it needs no wake-up of its own.
    link.arrived(&[2; 16], &locked(0));
    let (due, _) = link.locks.due(Instant::now() + LEAST);
    assert_eq!(due.len(), 1, "one request for both");
}

#[test]
fn what_is_lost_is_not_handed_out() {
    let link = link(300);
    link.arrived(&[1; 16], &locked(60_000));
    link.arrived(&[2; 16], &locked(60_000));
    let lost = DueKind::Messages(vec![[1; 16]]);
    link.locks.renewed("orders", &lost, Renewal::Lost);
    assert!(!link.take(&[1; 16]));
    assert!(link.take(&[2; 16]));
}

#[test]
fn a_token_is_a_guid_of_dotnet() {
    let token: LockToken = [
        0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
        0xff,
    ];
    let uuid = uuid::Uuid::from_bytes(to_uuid(&token));
    assert_eq!(uuid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
}

#[test]
fn a_session_is_due_as_a_message_is() {
    let link = link(300);
    let id: Arc<str> = Arc::from("s1");
    link.session(&id, None);
    let (due, _) = link.locks.due(Instant::now() + Duration::from_secs(1));
    assert_eq!(due[0].what, DueKind::Session(Arc::clone(&id)));
    link.forget_session("s1");
    assert_eq!(link.locks.due(Instant::now()), (vec![], None));
}

/// Sessions of two queues may have the same id: customers, orders.
#[test]
fn sessions_of_two_queues_with_the_same_id_are_apart() {
    let locks = Arc::new(Locks::default());
    let longest = Duration::from_secs(300);
    let orders = LinkLocks::new(&locks, "orders", "link-1", longest);
    let mails = LinkLocks::new(&locks, "mails", "link-2", longest);
    let id: Arc<str> = Arc::from("a");
    orders.session(&id, None);
    mails.session(&id, None);
    let now = Instant::now() + Duration::from_secs(1);
    let (due, _) = locks.due(now);
    let mut entities: Vec<&str> = due.iter().map(|one| &*one.entity).collect();
    entities.sort_unstable();
    assert_eq!(entities, ["mails", "orders"], "both are renewed");
    let until = Some(now_millis() + 60_000);
    for one in due.iter().filter(|one| &*one.entity == "mails") {
        locks.renewed(&one.entity, &one.what, Renewal::Until(until));
    }
    assert!(mails.session_ends("a").is_some());
    assert_eq!(orders.session_ends("a"), None, "the other's is not renewed");
    mails.forget_session("a");
    let (due, _) = locks.due(now);
    assert_eq!(due.len(), 1);
    assert_eq!(&*due[0].entity, "orders", "still renewed");
}
