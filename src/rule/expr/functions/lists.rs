//! Lists: Kubernetes' library (`isSorted sum min max indexOf lastIndexOf`) and cel-go's extension (`slice flatten distinct sort …`).

use super::{Function, global, member, mismatch};
use crate::rule::expr::code::Arithmetic;
use crate::rule::expr::compare::{compare, equal};
use crate::rule::expr::eval::{Fault, Frame, article};
use crate::rule::expr::value::{INT, LIST, Val};
use std::cmp::Ordering;

pub(super) static TABLE: &[Function] = &[
    member("isSorted", &[LIST], is_sorted),
    member("sum", &[LIST], sum),
    member("min", &[LIST], |frame, args| {
        extreme(frame, &args[0], Ordering::Less, "min")
    }),
    member("max", &[LIST], |frame, args| {
        extreme(frame, &args[0], Ordering::Greater, "max")
    }),
    member("slice", &[LIST, INT, INT], slice),
    member("flatten", &[LIST, INT], flatten).optional(1),
    member("distinct", &[LIST], distinct),
    member("sort", &[LIST], sort),
    member("first", &[LIST], |_, args| {
        Ok(optional(args[0].items().next()))
    }),
    member("last", &[LIST], |frame, args| {
        frame.charge(args[0].count().unwrap_or_default() / 16)?;
        Ok(optional(args[0].items().last()))
    }),
    global("lists.range", &[INT], range),
];

fn optional(value: Option<Val<'_>>) -> Val<'_> {
    value.map_or(Val::Optional(None), Val::some)
}

/// The order of two elements, or why they have none.
fn order(a: &Val<'_>, b: &Val<'_>, function: &str) -> Result<Ordering, Fault> {
    compare(a, b).ok_or_else(|| unordered(a, b, function))
}

fn unordered(a: &Val<'_>, b: &Val<'_>, function: &str) -> Fault {
    Fault::failed(format!(
        "`{function}` cannot order {} and {}",
        article(a),
        article(b)
    ))
}

fn is_sorted<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let mut last: Option<Val<'a>> = None;
    for item in args[0].items() {
        frame.charge(1)?;
        if let Some(last) = &last
            && order(last, &item, "isSorted")?.is_gt()
        {
            return Ok(Val::Bool(false));
        }
        last = Some(item);
    }
    Ok(Val::Bool(true))
}

fn sum<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let mut items = args[0].items();
    let Some(mut sum) = items.next() else {
        return Ok(Val::Int(0));
    };
    if !matches!(
        sum,
        Val::Int(_) | Val::UInt(_) | Val::Double(_) | Val::Duration(_)
    ) {
        return Err(Fault::failed(format!(
            "`sum` adds numbers or durations, not {}",
            article(&sum)
        )));
    }
    for item in items {
        frame.charge(1)?;
        sum = frame.arithmetic(Arithmetic::Add, sum, item)?;
    }
    Ok(sum)
}

fn extreme<'a>(
    frame: &mut Frame<'_, 'a>,
    list: &Val<'a>,
    wanted: Ordering,
    function: &str,
) -> Result<Val<'a>, Fault> {
    let mut items = list.items();
    let Some(mut best) = items.next() else {
        return Err(Fault::failed(format!("`{function}` of an empty list")));
    };
    order(&best, &best, function)?;
    for item in items {
        frame.charge(1)?;
        if order(&item, &best, function)? == wanted {
            best = item;
        }
    }
    Ok(best)
}

/// `indexOf` and `lastIndexOf` of a list.
pub(in crate::rule::expr) fn position<'a>(
    frame: &mut Frame<'_, 'a>,
    list: &Val<'a>,
    wanted: &Val<'a>,
    last: bool,
) -> Result<Val<'a>, Fault> {
    let mut found = -1;
    for (position, item) in list.items().enumerate() {
        frame.charge(1)?;
        if equal(frame, &item, wanted)? {
            found = position as i64;
            if !last {
                break;
            }
        }
    }
    Ok(Val::Int(found))
}

fn slice<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [list, Val::Int(start), Val::Int(end)] = args else {
        return mismatch();
    };
    let count = list.count().unwrap_or_default();
    frame.charge(count)?;
    let bounds = (usize::try_from(*start), usize::try_from(*end));
    let (Ok(start), Ok(end)) = bounds else {
        return Err(Fault::failed("`slice`: a position is negative"));
    };
    if start > end || end > count {
        return Err(Fault::failed("`slice`: a position is outside the list"));
    }
    Ok(Val::list(
        list.items().skip(start).take(end - start).collect(),
    ))
}

fn flatten<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    fn into<'a>(
        frame: &mut Frame<'_, 'a>,
        list: &Val<'a>,
        depth: i64,
        out: &mut Vec<Val<'a>>,
    ) -> Result<(), Fault> {
        for item in list.items() {
            frame.charge(1)?;
            match item {
                Val::List(_) | Val::NodeList(_) if depth > 0 => into(frame, &item, depth - 1, out)?,
                item => out.push(item),
            }
        }
        Ok(())
    }
    let depth = match args.get(1) {
        Some(Val::Int(depth)) if *depth < 0 => {
            return Err(Fault::failed("`flatten`: the depth is negative"));
        }
        Some(Val::Int(depth)) => *depth,
        _ => 1,
    };
    let mut out = Vec::new();
    into(frame, &args[0], depth, &mut out)?;
    Ok(Val::list(out))
}

fn distinct<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let mut out: Vec<Val<'a>> = Vec::new();
    'items: for item in args[0].items() {
        for other in &out {
            frame.charge(1)?;
            if equal(frame, other, &item)? {
                continue 'items;
            }
        }
        frame.charge(1)?;
        out.push(item);
    }
    Ok(Val::list(out))
}

fn sort<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let items: Vec<Val<'a>> = args[0].items().collect();
    sort_by(frame, items.clone(), items)
}

/// `values` in the order of their `keys`, which must be of one comparable kind.
pub(in crate::rule::expr) fn sort_by<'a>(
    frame: &mut Frame<'_, 'a>,
    keys: Vec<Val<'a>>,
    values: Vec<Val<'a>>,
) -> Result<Val<'a>, Fault> {
    frame.charge(
        keys.len()
            .saturating_mul(keys.len().max(1).ilog2() as usize + 1),
    )?;
    if let Some(first) = keys.first() {
        for key in &keys {
            if first.kind() != key.kind() {
                return Err(unordered(first, key, "sort"));
            }
            order(first, key, "sort")?;
        }
    }
    let mut pairs: Vec<(Val<'a>, Val<'a>)> = keys.into_iter().zip(values).collect();
    pairs.sort_by(|(a, _), (b, _)| compare(a, b).unwrap_or(Ordering::Equal));
    Ok(Val::list(
        pairs.into_iter().map(|(_, value)| value).collect(),
    ))
}

fn range<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Int(count)] = args else {
        return mismatch();
    };
    let count = usize::try_from(*count)
        .map_err(|_| Fault::failed("`lists.range`: the number is negative"))?;
    frame.charge(count)?;
    Ok(Val::list((0..count as i64).map(Val::Int).collect()))
}
