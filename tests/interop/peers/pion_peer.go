// Pion as a peer, built from Debian's package: orders in, answers and events out, as lines.py tells.
// It has no codecs, so it sends the RTP packets back that it receives. `--version` prints its version.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc"
)

// Set when it is built.
var version string

// How long a line may be, and how often a picture that stands by itself is asked for.
const (
	limit   = 1 << 24
	refresh = 500 * time.Millisecond
)

var codecs = map[string]webrtc.RTPCodecCapability{
	"audio": {MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2},
	"video": {MimeType: webrtc.MimeTypeVP8, ClockRate: 90000},
}

type values map[string]any

type order struct {
	Number      int
	Do          string
	PC          int
	Kind        string
	Text        string
	Direction   string
	Index       int
	Interval    float64
	Count, Size int
	// Of a data channel.
	Ordered           *bool
	MaxRetransmits    *uint16
	MaxPacketLifeTime *uint16
	Description       *webrtc.SessionDescription
	Candidate         *webrtc.ICECandidateInit
}

var (
	writing sync.Mutex
	output  = os.Stdout
)

func tell(line values) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	writing.Lock()
	defer writing.Unlock()
	output.Write(append(text, '\n'))
}

// counter counts what arrives, and remembers the longest time in between, in milliseconds.
type counter struct {
	count int
	gap   float64
	last  time.Time
}

func (c *counter) longest() float64 {
	if since := time.Since(c.last); !c.last.IsZero() && since.Seconds()*1000 > c.gap {
		return since.Seconds() * 1000
	}
	return c.gap
}

func (c *counter) add() {
	c.gap, c.last = c.longest(), time.Now()
	c.count++
}

func (c *counter) take() values {
	taken := values{"count": c.count, "gap": c.longest()}
	c.gap = 0
	return taken
}

// connection is a PeerConnection, and what the orders do to it. Pion calls back in any thread.
type connection struct {
	pc         *webrtc.PeerConnection
	number     int
	restarting bool
	senders    map[string]*webrtc.RTPSender
	ended      chan struct{}
	// Guards what follows.
	mutex          sync.Mutex
	channelInUse   *webrtc.DataChannel
	echoes         map[string]*webrtc.TrackLocalStaticRTP
	counters       map[string]*counter
	sent, received int
	inOrder        bool
	numbers        map[int]bool
	flowing        *counter
	// Held as long as nothing is read of the data channel.
	reading sync.Mutex
}

func newConnection(number int) (*connection, error) {
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	c := &connection{
		pc: pc, number: number, inOrder: true, flowing: &counter{},
		numbers:  map[int]bool{},
		echoes:   map[string]*webrtc.TrackLocalStaticRTP{},
		senders:  map[string]*webrtc.RTPSender{},
		counters: map[string]*counter{},
	}
	pc.OnSignalingStateChange(func(s webrtc.SignalingState) { c.changed("signalingstate", s) })
	pc.OnICEGatheringStateChange(func(s webrtc.ICEGathererState) { c.changed("icegatheringstate", s) })
	pc.OnICEConnectionStateChange(func(s webrtc.ICEConnectionState) {
		c.changed("iceconnectionstate", s)
	})
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) { c.changed("connectionstate", s) })
	pc.SCTP().Transport().OnStateChange(func(s webrtc.DTLSTransportState) { c.changed("dtlsstate", s) })
	pc.OnNegotiationNeeded(func() { c.tell(values{"event": "negotiationneeded"}) })
	pc.OnICECandidate(func(found *webrtc.ICECandidate) {
		line := values{"event": "icecandidate", "candidate": nil}
		if found != nil {
			line["candidate"] = found.ToJSON()
		}
		c.tell(line)
	})
	pc.OnDataChannel(c.use)
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { c.watch(track) })
	return c, nil
}

func (c *connection) tell(line values) {
	line["pc"] = c.number
	tell(line)
}

func (c *connection) changed(name string, state fmt.Stringer) {
	c.tell(values{"event": name + "change", "state": state.String()})
}

func (c *connection) use(channel *webrtc.DataChannel) {
	c.mutex.Lock()
	c.channelInUse = channel
	c.mutex.Unlock()
	channel.OnOpen(func() { c.tell(values{"event": "channel", "state": "open"}) })
	channel.OnClose(func() { c.tell(values{"event": "channel", "state": "closed"}) })
	channel.OnMessage(func(message webrtc.DataChannelMessage) { c.receive(string(message.Data)) })
}

func (c *connection) send(text string) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.channelInUse.SendText(text)
}

// receive is called by what reads the data channel, which waits for it.
func (c *connection) receive(text string) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if !strings.HasPrefix(text, "flow ") {
		c.tell(values{"event": "message", "text": text})
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	number, err := strconv.Atoi(strings.TrimSpace(text[5:]))
	c.inOrder = c.inOrder && err == nil && number == c.received
	c.numbers[number] = true
	c.received++
	c.flowing.add()
}

// echo returns the track of a kind on which packets are sent back.
func (c *connection) echo(kind string) (*webrtc.TrackLocalStaticRTP, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.echoes[kind] == nil {
		made, err := webrtc.NewTrackLocalStaticRTP(codecs[kind], kind, "interop")
		if err != nil {
			return nil, err
		}
		c.echoes[kind] = made
	}
	return c.echoes[kind], nil
}

// watch sends back what a track brings, and counts it, until the track ends.
func (c *connection) watch(track *webrtc.TrackRemote) {
	kind := track.Kind().String()
	echo, err := c.echo(kind)
	if err != nil {
		panic(err)
	}
	c.mutex.Lock()
	if c.counters[kind] == nil {
		c.counters[kind] = &counter{}
	}
	counted := c.counters[kind]
	c.mutex.Unlock()
	c.tell(values{"event": "track", "kind": kind})
	asked := time.Now()
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		c.mutex.Lock()
		counted.add()
		c.mutex.Unlock()
		// Whoever gets it back has numbers of header extensions of its own.
		packet.Header.Extension, packet.Header.Extensions = false, nil
		_ = echo.WriteRTP(packet)
		if kind == "video" && time.Since(asked) > refresh {
			asked = time.Now()
			loss := &rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}
			_ = c.pc.WriteRTCP([]rtcp.Packet{loss})
		}
	}
}

func (c *connection) addTrack(kind string) error {
	track, err := c.echo(kind)
	if err != nil {
		return err
	}
	sender, err := c.pc.AddTrack(track)
	if err == nil {
		c.senders[kind] = sender
		// What comes for the sender has to be read, as it is in what Pion does with it on the way.
		go func() {
			for buffer := make([]byte, 1500); ; {
				if _, _, err := sender.Read(buffer); err != nil {
					return
				}
			}
		}()
	}
	return err
}

// setLocal sets the description that fits, or that given, which is a rollback.
func (c *connection) setLocal(given *webrtc.SessionDescription) (*webrtc.SessionDescription, error) {
	if given != nil {
		// It has to be one that can be read.
		if pending := c.pc.PendingLocalDescription(); pending != nil {
			given.SDP = pending.SDP
		}
		return c.pc.LocalDescription(), c.pc.SetLocalDescription(*given)
	}
	var created webrtc.SessionDescription
	var err error
	if c.pc.SignalingState() == webrtc.SignalingStateHaveRemoteOffer {
		created, err = c.pc.CreateAnswer(nil)
	} else {
		created, err = c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: c.restarting})
		c.restarting = false
	}
	if err == nil {
		err = c.pc.SetLocalDescription(created)
	}
	return c.pc.LocalDescription(), err
}

func (c *connection) candidate(given *webrtc.ICECandidateInit) error {
	if given == nil || given.Candidate == "" {
		return nil
	}
	return c.pc.AddICECandidate(*given)
}

func (c *connection) flow(interval float64) {
	if c.ended != nil {
		close(c.ended)
		c.ended = nil
	}
	if interval == 0 {
		return
	}
	ended := make(chan struct{})
	c.ended = ended
	go func() {
		ticker := time.NewTicker(time.Duration(interval * float64(time.Second)))
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				c.mutex.Lock()
				if c.channelInUse.SendText(fmt.Sprintf("flow %d", c.sent)) == nil {
					c.sent++
				}
				c.mutex.Unlock()
			}
		}
	}()
}

func (c *connection) flood(count, size int) error {
	for ; count > 0; count-- {
		if err := c.send(fmt.Sprintf("%-*s", size, fmt.Sprintf("flow %d", c.sent))); err != nil {
			return err
		}
		c.sent++
	}
	return nil
}

func (c *connection) flowed() values {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	gap := c.flowing.take()["gap"]
	return values{
		"sent": c.sent, "received": c.received, "different": len(c.numbers), "inOrder": c.inOrder,
		"gap": gap,
	}
}

func (c *connection) media() values {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	taken := values{}
	for kind, counted := range c.counters {
		taken[kind] = counted.take()
	}
	return taken
}

func (c *connection) state() values {
	return values{
		"signalingState":     c.pc.SignalingState().String(),
		"iceGatheringState":  c.pc.ICEGatheringState().String(),
		"iceConnectionState": c.pc.ICEConnectionState().String(),
		"connectionState":    c.pc.ConnectionState().String(),
	}
}

func (c *connection) obey(given order) (any, error) {
	switch given.Do {
	case "channel":
		channel, err := c.pc.CreateDataChannel("interop", &webrtc.DataChannelInit{
			Ordered:           given.Ordered,
			MaxRetransmits:    given.MaxRetransmits,
			MaxPacketLifeTime: given.MaxPacketLifeTime,
		})
		if err == nil {
			c.use(channel)
		}
		return nil, err
	case "track":
		return nil, c.addTrack(given.Kind)
	case "untrack":
		return nil, c.pc.RemoveTrack(c.senders[given.Kind])
	case "restart":
		c.restarting = true
		return nil, nil
	case "local":
		return c.setLocal(given.Description)
	case "remote":
		return nil, c.pc.SetRemoteDescription(*given.Description)
	case "candidate":
		return nil, c.candidate(given.Candidate)
	case "send":
		return nil, c.send(given.Text)
	case "flow":
		c.flow(given.Interval)
		return nil, nil
	case "flood":
		return nil, c.flood(given.Count, given.Size)
	case "leave":
		return nil, c.channelInUse.Close()
	case "buffered":
		return c.channelInUse.BufferedAmount(), nil
	case "pause":
		c.reading.Lock()
		return nil, nil
	case "resume":
		c.reading.Unlock()
		return nil, nil
	case "flowed":
		return c.flowed(), nil
	case "media":
		return c.media(), nil
	case "state":
		return c.state(), nil
	case "close":
		c.flow(0)
		// It's an error if the other side has closed before.
		_ = c.pc.Close()
		return nil, nil
	}
	return nil, fmt.Errorf("there is no %q", given.Do)
}

// serve carries out the orders for one connection, one after the other.
func serve(c *connection, orders <-chan order) {
	for given := range orders {
		result, err := c.obey(given)
		if err != nil {
			reason := values{"name": fmt.Sprintf("%T", err), "message": err.Error()}
			tell(values{"answer": given.Number, "error": reason})
			continue
		}
		tell(values{"answer": given.Number, "result": result})
	}
}

func main() {
	if len(os.Args) > 1 {
		fmt.Println(version)
		return
	}
	// Pion writes its log there, which is no place for it here.
	os.Stdout = os.Stderr
	connections := map[int]chan<- order{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, limit)
	tell(values{"event": "ready", "pc": 0})
	for lines.Scan() {
		var given order
		if err := json.Unmarshal(lines.Bytes(), &given); err != nil {
			panic(err)
		}
		if given.Do != "new" {
			connections[given.PC] <- given
			continue
		}
		made, err := newConnection(given.PC)
		if err != nil {
			panic(err)
		}
		orders := make(chan order)
		connections[given.PC] = orders
		go serve(made, orders)
		tell(values{"answer": given.Number, "result": nil})
	}
}
