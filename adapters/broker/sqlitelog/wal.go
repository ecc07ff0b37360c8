package sqlitelog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The format of the file "-wal": https://sqlite.org/fileformat2.html#the_write_ahead_log.
const (
	walHeaderBytes   = 32
	frameHeaderBytes = 24
	// checkedBytes of a frame's header are part of its checksum, and all but the checksum of the file's.
	checkedBytes    = 8
	walCheckedBytes = 24
	// walMagic has its last bit set when checksums are of big-endian words.
	walMagic    = 0x377f0682
	minPageSize = 512
	maxPageSize = 65536
	// saltsBack is by how much the first salt of a frame that an earlier use of the file has left may be lower: it goes up by
	// one with each use.
	saltsBack = 1 << 20
)

// walContent is what is in a file "-wal".
type walContent struct {
	// transactions are those that SQLite recovers, committed their bytes in the file.
	transactions int
	committed    int64
	// torn are the bytes behind the last committed transaction that are neither left from an earlier use of the file nor zeros, as
	// preallocate writes them.
	torn int64
}

// walScan reads a file "-wal" frame by frame, as SQLite's recovery does.
type walScan struct {
	in    *bufio.Reader
	order binary.ByteOrder
	salt  []byte
	sum   [2]uint32
	frame []byte
	walContent
}

// scanWAL tells what is in a file "-wal" of the size.
func scanWAL(file io.Reader, size int64) (walContent, error) {
	s := walScan{in: bufio.NewReaderSize(file, 1<<20)}
	if head, err := s.in.Peek(walHeaderBytes); err == nil && len(bytes.Trim(head, "\x00")) == 0 {
		return walContent{}, nil // set aside, and never used
	}
	valid, err := s.header()
	if err != nil {
		return walContent{}, fmt.Errorf("read the header: %w", err)
	}
	if !valid {
		return walContent{torn: size}, nil
	}
	for valid {
		n, err := s.next()
		if err != nil {
			return walContent{}, fmt.Errorf("read a frame: %w", err)
		}
		if valid = n == len(s.frame) && s.check(); !valid {
			err = s.tail(n)
			return s.walContent, err
		}
		s.take()
	}
	return s.walContent, nil
}

// header reads the file's header. It is not valid when it was never written to its end: SQLite ignores the file then.
func (s *walScan) header() (valid bool, err error) {
	header := make([]byte, walHeaderBytes)
	if _, err := io.ReadFull(s.in, header); err != nil {
		return false, notEnd(err)
	}
	magic := binary.BigEndian.Uint32(header)
	page := binary.BigEndian.Uint32(header[8:])
	if magic&^1 != walMagic || page < minPageSize || page > maxPageSize || page&(page-1) != 0 {
		return false, nil
	}
	s.order = binary.LittleEndian
	if magic&1 != 0 {
		s.order = binary.BigEndian
	}
	s.sum = s.checksum(s.sum, header[:walCheckedBytes])
	s.salt = header[16:24]
	s.frame = make([]byte, frameHeaderBytes+int(page))
	return s.sum == sumAt(header[walCheckedBytes:]), nil
}

func notEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// next reads the next frame, and returns how many bytes of it there are.
func (s *walScan) next() (int, error) {
	n, err := io.ReadFull(s.in, s.frame)
	return n, notEnd(err)
}

// check tells whether the frame is the one that follows those before it.
func (s *walScan) check() bool {
	page := binary.BigEndian.Uint32(s.frame)
	sum := s.checksum(s.sum, s.frame[:checkedBytes])
	sum = s.checksum(sum, s.frame[frameHeaderBytes:])
	if page == 0 || !bytes.Equal(s.frame[8:16], s.salt) || sum != sumAt(s.frame[16:]) {
		return false
	}
	s.sum = sum
	return true
}

// take counts a valid frame. One that says how large the database is then ends a transaction; until there is one, the frame may
// be of a transaction that was never committed.
func (s *walScan) take() {
	size := int64(len(s.frame))
	s.torn += size
	if binary.BigEndian.Uint32(s.frame[4:]) != 0 {
		s.transactions++
		s.committed += s.torn
		s.torn = 0
	}
}

// tail counts what follows the last valid frame, up to what is blank or left from an earlier use of the file. n bytes of it are
// read.
func (s *walScan) tail(n int) error {
	for n > 0 && !s.stale(s.frame[:n]) && !blank(s.frame[:n]) {
		s.torn += int64(n)
		var err error
		if n, err = s.next(); err != nil {
			return fmt.Errorf("read the tail: %w", err)
		}
	}
	return nil
}

// blank tells whether there are but zeros.
func blank(frame []byte) bool { return len(bytes.Trim(frame, "\x00")) == 0 }

// stale tells whether the frame, or the part of it that there is, is from an earlier use of the file.
func (s *walScan) stale(frame []byte) bool {
	if len(frame) < len(s.frame) { // a file that is used again has whole frames
		return false
	}
	back := binary.BigEndian.Uint32(s.salt) - binary.BigEndian.Uint32(frame[8:])
	return back > 0 && back <= saltsBack
}

// checksum goes on with the checksum over whole pairs of words.
func (s *walScan) checksum(sum [2]uint32, data []byte) [2]uint32 {
	for ; len(data) >= 8; data = data[8:] {
		sum[0] += s.order.Uint32(data) + sum[1]
		sum[1] += s.order.Uint32(data[4:]) + sum[0]
	}
	return sum
}

func sumAt(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}
