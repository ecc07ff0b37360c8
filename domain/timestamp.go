package domain

import "time"

const timestampRule = "must be a timestamp of RFC 3339, such as 2026-01-31T12:00:00Z"

// ParseTimestamp reads RFC 3339, whose letters may be in either case. Digits beyond nanoseconds are dropped; a leap
// second, the 61st of a month's last minute in UTC, is the second that follows, as in POSIX.
func ParseTimestamp(text string) (time.Time, error) {
	t, ok := parseTimestamp([]byte(text))
	if !ok {
		return time.Time{}, Invalid("", timestampRule)
	}
	return t, nil
}

// parseTimestamp is not [time.Time.UnmarshalText], which takes an hour of one digit, a decimal comma and an offset of 24
// hours (https://go.dev/issue/54580).
func parseTimestamp(s []byte) (time.Time, bool) {
	const seconds = len("2006-01-02T15:04:05")
	if len(s) <= seconds || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	nanos, rest, fractionOK := fraction(s[seconds:])
	offset, offsetOK := zone(rest)
	day, dayOK := date(decimal(s[:4]), decimal(s[5:7]), decimal(s[8:10]))
	hour, minute, second := decimal(s[11:13]), decimal(s[14:16]), decimal(s[17:seconds])
	if !fractionOK || !offsetOK || !dayOK || !clock(hour, minute) || !isSecond(second) {
		return time.Time{}, false
	}
	t := day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(nanos) - offset)
	return t, second < 60 || t.Day() == 1 && t.Hour() == 0 && t.Minute() == 0
}

// date is midnight of the day, if there is one.
func date(year, month, day int) (midnight time.Time, ok bool) {
	if year < 0 || min(month, day) < 1 || month > 12 {
		return time.Time{}, false
	}
	midnight = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return midnight, midnight.Day() == day // one that the month does not have has become one of the next
}

// decimal reads digits; -1 when there is anything else.
func decimal(s []byte) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// isSecond is also true for the leap second.
func isSecond(second int) bool { return second >= 0 && second <= 60 }

func clock(hour, minute int) bool { return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 }

// fraction reads the digits behind a decimal point, if there is one.
func fraction(s []byte) (nanos int, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '.' {
		return 0, s, true
	}
	i, unit := 1, int(time.Second)
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		unit /= 10
		nanos += unit * int(s[i]-'0')
	}
	return nanos, s[i:], i > 1
}

// zone reads Z or the offset from UTC.
func zone(s []byte) (offset time.Duration, ok bool) {
	if len(s) == 1 {
		return 0, s[0]|0x20 == 'z'
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hours, minutes := decimal(s[1:3]), decimal(s[4:6])
	offset = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, clock(hours, minutes)
}
